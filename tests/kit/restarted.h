/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restarted.h - accept, recv and send of a blocking socket with a time-out (SO_RCVTIMEO, SO_SNDTIMEO), begun
 * again when they are interrupted. The kernel does so itself only without a time-out (signal(7)), and no
 * signal is needed: the end of an io_uring interrupts each thread that has created or entered it, some
 * time after the ring was closed (io_ring_exit_work: task_work_add with TWA_SIGNAL).
 */
#ifndef KOLK_KIT_RESTARTED_H
#define KOLK_KIT_RESTARTED_H

#include <errno.h>
#include <sys/socket.h>

static inline int kit_accept(int listener)
{
	int fd;

	do
		fd = accept(listener, NULL, NULL);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static inline ssize_t kit_recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t got;

	do
		got = recv(fd, bytes, size, flags);
	while (got < 0 && errno == EINTR);
	return got;
}

static inline ssize_t kit_send(int fd, const void *bytes, size_t size)
{
	ssize_t sent;

	do
		sent = send(fd, bytes, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

#endif
