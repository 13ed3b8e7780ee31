// botkit with its Facebook adapter, as its own documentation sets it up; it takes each message and says nothing.
const { Botkit } = require('botkit');
const { FacebookAdapter, FacebookEventTypeMiddleware } = require('botbuilder-adapter-facebook');

const adapter = new FacebookAdapter({
  verify_token: 'verify',
  app_secret: process.env.APP_SECRET,
  access_token: 'EAA0',
});
adapter.use(new FacebookEventTypeMiddleware());
const controller = new Botkit({ webhook_uri: '/webhook', adapter });
controller.on('message', async () => {});
