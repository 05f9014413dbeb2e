/*
 * How much of what was written to a descriptor nobody has read yet. In: a pipe or a socket. Out:
 * bytes. Knows no Node.
 */
#ifndef PICKET_FDQUEUE_H
#define PICKET_FDQUEUE_H

/*
 * Bytes in the pipe, or in the socket's send queue; 0 for files and terminals, which take whatever
 * comes. Never blocks. -errno where `fd` is none.
 */
int fdq_queued(int fd);

#endif
