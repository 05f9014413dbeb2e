/*
 * sandbox: runs a command under the system call filter that systemd would set. In: numbers of
 * allowed system calls and of allowed address families, comma-separated, and a command line. What
 * is not allowed is EPERM; other families are EAFNOSUPPORT. Takes no_new_privs for granted.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* Two instructions a number, and a few around them: fewer than BPF_MAXINSNS. */
static struct sock_filter code[4096];
static unsigned short len;

static void emit(uint16_t op, uint32_t k, uint8_t yes, uint8_t no) {
    if (len == sizeof(code) / sizeof(code[0])) {
        fprintf(stderr, "sandbox: too many numbers\n");
        exit(1);
    }
    code[len++] = (struct sock_filter)BPF_JUMP(op, k, yes, no);
}

/* Returns `verdict` for every number of the list. */
static void emit_list(const char *list, uint32_t verdict) {
    for (const char *at = list; *at != '\0';) {
        char *end;
        emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)strtoul(at, &end, 10), 0, 1);
        emit(BPF_RET | BPF_K, verdict, 0, 0);
        at = *end == ',' ? end + 1 : end;
        if (end == at) {
            break;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: sandbox SYSCALLS FAMILIES COMMAND...\n");
        return 1;
    }
    uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
    emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    emit(BPF_RET | BPF_K, refused, 0, 0);
    emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0);
    unsigned short over_families = len;
    emit(BPF_JMP | BPF_JA, 0, 0, 0);
    emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]), 0, 0);
    emit_list(argv[2], SECCOMP_RET_ALLOW);
    emit(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT, 0, 0);
    code[over_families].k = len - over_families - 1u;
    emit_list(argv[1], SECCOMP_RET_ALLOW);
    emit(BPF_RET | BPF_K, refused, 0, 0);
    struct sock_fprog program = {.len = len, .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("sandbox: PR_SET_SECCOMP");
        return 1;
    }
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 1;
}
