"""A Meta to try the connector with: its Messenger platform, small and strict.

`/vNN.N/...` is the Graph API, `/media/...` the media host. An order for the sandbox itself goes here:

| call                                          | does                                                      |
| --------------------------------------------- | --------------------------------------------------------- |
| POST /sandbox/connect                         | app, page and both subscriptions at once:                 |
|                                               | `meta.shapes.Connection`; 400 when the handshake fails   |
| PUT /sandbox/apps/{app_id}                    | keeps an app: `meta.shapes.NewApp`                       |
| PUT /sandbox/pages/{page_id}                  | keeps a page: `meta.shapes.NewPage`                      |
| PATCH /sandbox/apps/{app_id}/subscription     | changes it without a handshake: `meta.shapes.Moved`       |
| PUT /sandbox/pages/{page_id}/token            | what its token allows, until when: `meta.shapes.NewGrant` |
| POST /sandbox/pages/{page_id}/unsubscribe     | unsubscribes it, as after an hour of failed deliveries    |
| GET /sandbox/pages/{page_id}/people           | `[{psid, name, messages}]`                                |
| PUT .../people/{psid}                         | keeps a person: `meta.shapes.NewPerson`                  |
| GET .../people/{psid}                         | `{psid, name, wrote_at, seen_at, typing}`: when they wrote |
|                                               | last, until when the page has seen it (ms, null: never),  |
|                                               | and whether it shows as typing                            |
| POST .../people/{psid}/messages               | the person writes: `meta.shapes.Writing`;                 |
|                                               | `{mid, timestamp}`                                        |
| POST .../people/{psid}/messages:batch         | a list of the same, at once                               |
| GET .../people/{psid}/messages                | the thread, oldest first                                  |
| PATCH .../people/{psid}/messages/{mid}        | `{text}`: the person edits a text of theirs: 5 times, for |
|                                               | 15 minutes; `{mid, num_edit}`                             |
| DELETE .../people/{psid}/messages/{mid}       | the person unsends a message of theirs; `{mid}`           |
| POST .../people/{psid}/reactions              | `{mid, emoji}`: the person reacts to a message; null      |
|                                               | takes the reaction back; `{mid, reaction}`                |
| POST .../people/{psid}/postbacks              | `{title, payload}`: the person taps a button;             |
|                                               | `{mid, timestamp}`                                        |
| POST .../people/{psid}/age                    | `{hours}`: what was said with the person becomes older    |
| PUT .../people/{psid}/thread_owner            | `{app_id}`: that app owns the thread; null: nobody        |
| POST /sandbox/pages/{page_id}/inbox           | `{psid, text}`: an agent writes in Meta's own inbox       |
| POST /sandbox/pages/{page_id}/events          | `{items, standby?}`: raw events, sent as they are         |
| POST /sandbox/pages/{page_id}/webhook         | a whole webhook, however odd: sent as it is, signed       |
| PUT /sandbox/pages/{page_id}/refusals         | which calls of the page are refused with which error of   |
|                                               | Meta's table: a list of `meta.state.Refused`; `[]`: none  |
| GET /sandbox/pages/{page_id}/rates            | for text, media and conversations: how many calls were     |
|                                               | `accepted`, at `most` in a second, and `refused` for that |
| PUT /sandbox/users/{user_id}                  | keeps somebody who can log in: `meta.shapes.NewUser`      |
| POST /sandbox/users/{user_id}/deauthorize     | they remove an app, or remove it from a page:             |
|                                               | `meta.shapes.Removal`; answers what the app's callback    |
|                                               | answered: `{status, body}`                                |
| POST /sandbox/users/{user_id}/data_deletion   | they have an app delete their data: the same              |
| PUT /sandbox/login                            | answers the login at once: `meta.state.LoginAnswer`;      |
|                                               | `{}`: somebody has to click                               |
| PUT /sandbox/behaviour                        | changes some of `meta.state.Behaviour`; answers all       |
| GET /sandbox/webhooks                         | `{sent, delivered, failed_attempts, waiting, alerts,      |
|                                               | unsubscribed}`; `waiting` counts events, the numbers      |
|                                               | before it count requests                                  |
| GET, PUT, DELETE /sandbox/faults              | the list of `faults.Fault` that is in force               |

An order that is not understood is answered 400, one for an unknown page or person 404.
"""
