// The action that bottender calls for each message: it takes it and says nothing.
module.exports = async function action() {};
