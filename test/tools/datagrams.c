/*
 * datagrams: receives at a unix datagram socket, as systemd and journald do. In: the path of the
 * socket to make ('@' first = an abstract name). Out: `ready`, then one line `PID HEX` per
 * datagram, where PID is the sender as the kernel says. Ends at end of input.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static uint8_t datagram[1 << 20];

static int fail(const char *doing) {
    perror(doing);
    return 1;
}

static int open_receiver(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len + (path[0] == '/') > sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, path, len);
    socklen_t address_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int yes = 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0 ||
        bind(fd, (struct sockaddr *)&address, address_len) < 0) {
        return -1;
    }
    return fd;
}

static int print_next(int fd) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec part = {.iov_base = datagram, .iov_len = sizeof(datagram)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct ucred sender = {.pid = 0};
    ssize_t len = recvmsg(fd, &message, 0);
    if (len < 0) {
        return fail("recvmsg");
    }
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first != NULL && first->cmsg_type == SCM_CREDENTIALS) {
        memcpy(&sender, CMSG_DATA(first), sizeof(sender));
    }
    printf("%d ", (int)sender.pid);
    for (ssize_t at = 0; at < len; at++) {
        printf("%02x", datagram[at]);
    }
    printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: datagrams PATH\n");
        return 1;
    }
    int fd = open_receiver(argv[1]);
    if (fd < 0) {
        return fail(argv[1]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            return fail("poll");
        }
        if ((fds[0].revents & POLLIN) != 0) {
            if (print_next(fd) != 0) {
                return 1;
            }
        } else if (fds[1].revents != 0) {
            return 0;
        }
    }
}
