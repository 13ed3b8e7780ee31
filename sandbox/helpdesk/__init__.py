"""A helpdesk to try the connector with: what the vendor's own app would be, small and strict.

`/api/v1` is the REST API of `docs/helpdesk-api.yaml` and `/files/{id}/{filename}` serves attachments; both
need the bearer token. `/` and `/tickets/{id}` are pages to read. An order for the sandbox itself goes here:

| call                                  | does                                                              |
| ------------------------------------- | ----------------------------------------------------------------- |
| PUT /sandbox/settings                 | changes some of `helpdesk.shapes.Settings`; answers all of them   |
| PUT /sandbox/desks/{id}               | `{name}`: keeps a desk                                            |
| PUT /sandbox/categories/{id}          | `{name, owner}`: keeps a category                                 |
| POST /sandbox/tickets/{id}/comments   | an agent writes, on a closed ticket too: `AgentComment`; 201      |
| PATCH /sandbox/comments/{id}          | `{body}`: an agent changes a comment; `{comment}`                 |
| DELETE /sandbox/comments/{id}         | an agent deletes a comment; `{comment}`                           |
| POST /sandbox/tickets/{id}/merge      | `{into}`: an agent merges the ticket into another; `{ticket}`     |
| POST /sandbox/tickets/{id}/close      | an agent closes the ticket; `{ticket}`                            |
| POST /sandbox/tickets/{id}/reopen     | an agent opens it again; `{ticket}`                               |
| GET /sandbox/tickets                  | `{tickets}` with comments and attachments' sha256, newest first;  |
|                                       | filters `sender_id`, `page_id`                                    |
| GET /sandbox/webhooks                 | `{sent, delivered, failed_attempts, waiting}`; `sent` counts      |
|                                       | every request, the others but `failed_attempts` count events      |
| DELETE /sandbox/everything            | forgets all but the settings                                      |
| GET, PUT, DELETE /sandbox/faults      | the list of `faults.Fault` that is in force                       |
"""
