// Renders markdown as helpdesks do that run on Node: a line of JSON (a text) in, a line of JSON (renderer -> HTML) out.
import { createInterface } from 'node:readline'
import * as commonmark from 'commonmark'
import MarkdownIt from 'markdown-it'
import { marked } from 'marked'
import showdown from 'showdown'

const options = { simplifiedAutoLink: true, literalMidWordUnderscores: true, strikethrough: true, tables: true, tasklists: true }
const plain = new showdown.Converter()
const github = new showdown.Converter({ ...options, simpleLineBreaks: true, requireSpaceBeforeHeadingText: false })
const it = new MarkdownIt({ html: true, linkify: true, breaks: true, typographer: true })
const reader = new commonmark.Parser()
const writer = new commonmark.HtmlRenderer()

const renderers = {
  marked: (text) => marked.parse(text, { gfm: true, breaks: true }),
  'marked without gfm': (text) => marked.parse(text, { gfm: false }),
  'markdown-it': (text) => it.render(text),
  showdown: (text) => plain.makeHtml(text),
  'showdown with all on': (text) => github.makeHtml(text),
  'commonmark.js': (text) => writer.render(reader.parse(text)),
}

for await (const line of createInterface({ input: process.stdin })) {
  const text = JSON.parse(line)
  const rendered = Object.entries(renderers).map(([name, render]) => [name, render(text)])
  console.log(JSON.stringify(Object.fromEntries(rendered)))
}
