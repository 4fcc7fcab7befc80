//! Where events go: Socket.IO servers, standard output.
