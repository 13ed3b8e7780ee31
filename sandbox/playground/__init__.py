"""A page to try the connector on: a customer's Messenger, the agent's ticket, and what goes between.

`make demo` serves it, for a person on this machine. It keeps nothing but which faults are switched on: all
else is read from the sandboxes, and what somebody does is handed to them.

| call                                  | does                                                               |
| ------------------------------------- | ------------------------------------------------------------------ |
| GET /                                 | the page                                                           |
| GET /plain?page_id=P&psid=S           | the page without JavaScript; its forms are posted there            |
| GET /state?page_id=P&psid=S           | all that it shows of a customer, as JSON with an ETag              |
| GET /links                            | the product's own pages that answer: `{name: address}`             |
| POST /people                          | `app.NewCustomer`; answers `{psid, name}`                          |
| POST, PATCH, DELETE                   | what the customer does: an order of `sandbox.meta`                 |
| /phone/{page_id}/{psid}/...           | below `.../people/{psid}/`                                         |
| GET /phone/{page_id}/{psid}/files/    | a file of the conversation                                         |
| {mid}/{n}                             |                                                                    |
| POST /tickets/{id}/comments           | the agent comments: `app.NewComment`                               |
| POST /tickets/{id}/close, /reopen     | the agent closes the ticket, or opens it again                     |
| GET /tickets/{psid}/{id}/files/{id}   | a file of the ticket                                               |
| PUT /faults/{name}                    | a switch of `faults.Faults` is turned: `app.Switched`              |
| POST /faults/worker                   | the connector's worker is killed; answers `{killed, started}`      |

What is refused is answered `{"error": ...}`, in words for the person at the page.
"""
