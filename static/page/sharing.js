// Links to share: the address is selected as a whole, and a button copies it.

const startSharing = (document) => {
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches(".address")) {
      target.select();
    }
  });

  document.documentElement.classList.toggle("can-copy", Boolean(navigator.clipboard));

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest(".copy");
    if (!button) {
      return;
    }
    const address = button.closest("li").querySelector(".address");
    try {
      await navigator.clipboard.writeText(address.value);
    } catch {
      // The browser has refused access to the clipboard.
      address.select();
      return;
    }
    const { ariaLabel, textContent } = button;
    button.ariaLabel = "Copied";
    button.textContent = "Copied";
    setTimeout(() => Object.assign(button, { ariaLabel, textContent }), 2_000);
  });
};
