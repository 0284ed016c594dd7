// The behaviour of pages in the browser beyond that of their forms and links. Every page works
// without it.
//
// Each other file of this folder defines one function, which holds the state of one concern.
// The build joins the files behind Datastar into the one script of a page, this file at the
// end.
//
// All listeners are on the document: a todo is HTML without code, and elements that a patch
// adds work at once.

startStreams(window, BUNDLE);
const connection = startConnection(document);
const introduction = startIntroduction(document, connection);
const focus = startFocus(document);
const unsent = startUnsent(document);
const commands = startCommands(document, { connection, focus, introduction, unsent });
startEditing(document, commands);
startReload(document);
startSharing(document);
