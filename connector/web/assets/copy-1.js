// Shows a button beside each field that is to be copied, and says when it was. Without it, people mark the field.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const said = button.nextElementSibling;
  button.hidden = false;
  button.addEventListener("click", async () => {
    said.textContent = "";
    let done = true;
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // In the frame of another site, or without TLS, the clipboard is closed to scripts; this is not.
      field.select();
      done = document.execCommand("copy");
      if (done) button.focus();
    }
    said.textContent = done ? said.dataset.done : said.dataset.failed;
  });
}
