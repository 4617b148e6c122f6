/* SPDX-License-Identifier: Apache-2.0 */
/* relay_uring.c - each direction of a pair has one operation in flight: a receive, then the send of
 * what came. One system call for each round: it submits all, and waits for the first. */
#define _GNU_SOURCE
#include "bench/gateway/relay.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair;

struct direction {
	struct pair *pair;
	int from, to;
	bool sending, flying;
	size_t sent, size;
	char piece[RELAY_PIECE];
};

struct pair {
	int client, upstream;
	bool closing;
	struct direction up, down;
};

static struct io_uring ring;

static struct io_uring_sqe *sqe_get(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe == NULL) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (sqe == NULL)
		relay_die("the submission queue is full");
	return sqe;
}

static void go_on(struct direction *d)
{
	struct io_uring_sqe *sqe = sqe_get();

	if (d->sending)
		io_uring_prep_send(sqe, d->to, d->piece + d->sent, d->size - d->sent, 0);
	else
		io_uring_prep_recv(sqe, d->from, d->piece, sizeof d->piece, 0);
	io_uring_sqe_set_data(sqe, d);
	d->flying = true;
}

static void accept_next(int listener)
{
	struct io_uring_sqe *sqe = sqe_get();

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, NULL);
}

static void direction_begin(struct direction *d, struct pair *pair, int from, int to)
{
	d->pair = pair;
	d->from = from;
	d->to = to;
	go_on(d);
}

static void accepted(const struct io_uring_cqe *cqe, int listener, uint16_t upstream_port)
{
	if (cqe->res >= 0) {
		struct pair *pair = calloc(1, sizeof *pair);

		if (pair == NULL)
			relay_die("out of memory");
		pair->client = cqe->res;
		pair->upstream = relay_dial(upstream_port);
		if (pair->upstream < 0)
			relay_die("no upstream connection");
		relay_nodelay(pair->client);
		direction_begin(&pair->up, pair, pair->client, pair->upstream);
		direction_begin(&pair->down, pair, pair->upstream, pair->client);
	}
	if (!(cqe->flags & IORING_CQE_F_MORE))
		accept_next(listener);
}

static void pair_end(struct pair *pair)
{
	if (!pair->closing) {
		pair->closing = true;
		shutdown(pair->client, SHUT_RDWR);
		shutdown(pair->upstream, SHUT_RDWR);
	}
	if (pair->up.flying || pair->down.flying)
		return;
	close(pair->client);
	close(pair->upstream);
	free(pair);
}

static void completed(struct direction *d, int result)
{
	d->flying = false;
	if (result <= 0 || d->pair->closing) {
		pair_end(d->pair);
		return;
	}
	if (!d->sending) {
		d->sending = true;
		d->sent = 0;
		d->size = (size_t)result;
	} else {
		d->sent += (size_t)result;
		d->sending = d->sent < d->size;
	}
	go_on(d);
}

void relay_uring(int listener, uint16_t upstream_port)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN |
						   IORING_SETUP_CQSIZE,
					  .cq_entries = 65536 };
	struct io_uring_cqe *cqe;
	unsigned head, count;

	errno = -io_uring_queue_init_params(4096, &ring, &params);
	if (errno != 0)
		relay_die("io_uring");
	accept_next(listener);
	for (;;) {
		io_uring_submit_and_wait(&ring, 1);
		count = 0;
		io_uring_for_each_cqe(&ring, head, cqe) {
			if (io_uring_cqe_get_data(cqe) == NULL)
				accepted(cqe, listener, upstream_port);
			else
				completed(io_uring_cqe_get_data(cqe), cqe->res);
			count++;
		}
		io_uring_cq_advance(&ring, count);
	}
}
