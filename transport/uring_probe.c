/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring_probe.c - does io_uring work here? A real receive, on a ring of its own, tells.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport/uring.h"

/* Debian 12's liburing.so does not export io_uring_enable_rings: the raw call. */
bool kolk__uring_enable(struct io_uring *ring)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		       0) == 0;
}

static bool receives(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	char byte = 0;
	int pair[2];
	bool got;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	io_uring_prep_recv(sqe, pair[0], &byte, 1, 0);
	got = write(pair[1], "k", 1) == 1 && io_uring_submit_and_wait(ring, 1) == 1 &&
	      io_uring_peek_cqe(ring, &cqe) == 0 && cqe->res == 1 && byte == 'k';
	close(pair[0]);
	close(pair[1]);
	return got;
}

static const char *refusal(int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
		return "io_uring_setup is forbidden (a container's seccomp filter, or the sysctl "
		       "kernel.io_uring_disabled)";
	case ENOSYS:
		return "io_uring_setup is not there (a kernel without it, or a seccomp filter)";
	case EINVAL:
		return "io_uring_setup knows no DEFER_TASKRUN (the kernel is older than 6.1)";
	case ENOMEM:
		return "io_uring_setup gets no memory (RLIMIT_MEMLOCK)";
	case EMFILE:
	case ENFILE:
		return "io_uring_setup gets no file descriptor (RLIMIT_NOFILE)";
	default:
		return "io_uring_setup is refused";
	}
}

/* Each of its three system calls may be refused alone. */
bool kolk__uring_works(const char **why)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN |
						   IORING_SETUP_R_DISABLED };
	struct io_uring ring;
	int result = io_uring_queue_init_params(8, &ring, &params);
	bool works;

	*why = refusal(-result);
	if (result != 0)
		return false;
	*why = "io_uring_register is refused (seccomp)";
	works = kolk__uring_enable(&ring);
	if (works) {
		*why = "io_uring_enter is refused, or a receive does not work";
		works = receives(&ring);
	}
	io_uring_queue_exit(&ring);
	return works;
}
