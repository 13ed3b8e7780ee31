// bottender, as its own documentation sets it up; sessions in memory are its default.
module.exports = {
  session: { driver: 'memory', stores: { memory: { maxSize: 500 } } },
  channels: {
    messenger: {
      enabled: true,
      path: '/webhook',
      pageId: process.env.PAGE_ID,
      accessToken: 'EAA0',
      appId: '1',
      appSecret: process.env.APP_SECRET,
      verifyToken: 'verify',
    },
  },
};
