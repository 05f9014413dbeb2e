/*
 * Datagrams to unix sockets of others, as systemd and journald read them. In: a name and bytes.
 * Out: 0 or -errno. Knows no Node and no protocol. May be called from any thread.
 */
#ifndef PICKET_UNIXGRAM_H
#define PICKET_UNIXGRAM_H

#include <stddef.h>

/*
 * Sends one datagram to the socket `path`, a file, or an abstract name when it starts with '@'.
 * Never blocks, keeps no descriptor. EINTR is retried. 0 or -errno: EAGAIN the receiver's queue is
 * full, ECONNREFUSED nobody receives, ENOENT, EACCES, EMSGSIZE larger than the send buffer, EINVAL
 * the path is empty or relative, ENAMETOOLONG, EMFILE.
 */
int ung_send(const char *path, size_t path_len, const void *bytes, size_t len);

#endif
