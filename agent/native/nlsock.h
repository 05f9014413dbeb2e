/*
 * Netlink sockets as plain system calls. In: numbers, paths and bytes. Out: >= 0 or -errno. Knows
 * no Node and no message. Every call may be made from any thread; none changes the caller's network
 * namespace.
 */
#ifndef PICKET_NLSOCK_H
#define PICKET_NLSOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Opens a bound, non-blocking, close-on-exec socket with NETLINK_EXT_ACK and NETLINK_CAP_ACK in the
 * namespace file `netns_path` ("" = the caller's own). Buffers are forced, else set as far as
 * net.core.*mem_max allows. Owned by the caller: close(2). Blocks for the life of one short thread
 * when a path is given. Errors: ENOENT, EACCES of the path; EINVAL not a network namespace; EPERM
 * no CAP_SYS_ADMIN; EPROTONOSUPPORT; EMFILE.
 */
int nls_open(int protocol, const char *netns_path, int sndbuf_bytes, int rcvbuf_bytes);

/* Writes the port id the kernel chose to `*port`. 0 or -errno. */
int nls_port_id(int fd, uint32_t *port);

/* Bytes of the send buffer as the kernel counts them (twice what was asked), or -errno. */
int nls_sndbuf(int fd);

/* Asks for a send buffer of `bytes`, forced where allowed. Returns what nls_sndbuf then says, or
 * -errno. */
int nls_set_sndbuf(int fd, int bytes);

/* Joins a multicast group. 0 or -errno (EINVAL no such group, EPERM). */
int nls_join(int fd, uint32_t group);

/*
 * Sends one datagram to the kernel; the kernel executes the request before this returns. EINTR is
 * retried. 0 or -errno: EMSGSIZE larger than the send buffer, EAGAIN, EPERM.
 */
int nls_send(int fd, const void *bytes, size_t len);

/*
 * Receives one datagram of the kernel; others' datagrams are thrown away. Never blocks. EINTR is
 * retried. Returns the true size of the datagram: when it is more than `cap`, only `cap` bytes were
 * kept and the rest is gone. Errors: EAGAIN nothing there, ENOBUFS the kernel dropped datagrams
 * since the last call.
 */
ssize_t nls_recv(int fd, void *bytes, size_t cap);

/* Size of the next datagram, which stays queued. Errors as nls_recv. */
ssize_t nls_peek(int fd);

/*
 * Waits until `fd` has `events`, `wake_fd` is readable, or `timeout_ms` are over (-1 = for ever).
 * Returns 1 ready, 0 time over, -ECANCELED woken, -errno.
 */
int nls_wait(int fd, short events, int wake_fd, int timeout_ms);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t nls_now_ms(void);

/* Starts a joinable thread with a small stack and every signal blocked, so signals stay with Node.
 * 0 or -errno. */
int nls_thread(pthread_t *thread, void *(*run)(void *), void *data);

#endif
