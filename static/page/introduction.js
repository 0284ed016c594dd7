// The introduction: a visitor gets a session by their first command. Streams that any page
// opened before do not know of it.

const startIntroduction = (document, connection) => {
  const introductions = new BroadcastChannel("introductions");
  const drawnFor = document.getElementById("connection")?.dataset.drawnFor;
  let isKnown = drawnFor !== "nobody";

  const know = () => {
    if (!isKnown) {
      isKnown = true;
      connection.reopen();
    }
  };

  const introduce = () => {
    if (!isKnown) {
      know();
      introductions.postMessage("");
    }
  };

  introductions.addEventListener("message", know);
  if (drawnFor && isKnown) {
    introductions.postMessage("");
  }

  return { introduce };
};
