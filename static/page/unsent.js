// The texts of new todos that are not stored yet. After a while they are shown, and leaving the
// page asks for confirmation.

const startUnsent = (document) => {
  // Nearly every command has its answer within this time.
  const PENDING_MS = 1_000;

  const pending = new Map();

  const show = () => {
    const texts = [...pending.values()];
    const text = texts.length > 0 ? `Not sent yet, trying again: ${texts.join(" · ")}` : "";
    document.getElementById("pending").textContent = text;
  };

  window.addEventListener("beforeunload", (event) => {
    if (pending.size > 0) {
      event.preventDefault();
    }
  });

  const add = (key, text) => {
    pending.set(key, text);
    setTimeout(show, PENDING_MS);
  };

  const remove = (key) => {
    if (pending.delete(key)) {
      show();
    }
  };

  return { add, remove };
};
