/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trip_limits.c - the round trips of roundtrip.c without a pool, as well as we can write them:
 * io_uring (multishot receive into provided buffers, sends whose completion is not needed), epoll
 * (level-triggered), blocking calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/trip.h"

struct lane {
	int fd;
	uint64_t sent_ns;
	size_t got;
};

static char *request_of(const struct trip *trip)
{
	char *bytes = malloc(trip->size);

	memset(bytes, 'x', trip->size);
	bytes[trip->size - 1] = '\n';
	return bytes;
}

static struct lane *lanes_open(const struct trip *trip)
{
	struct lane *lanes = calloc(trip->connections, sizeof *lanes);

	for (uint32_t i = 0; i < trip->connections; i++)
		lanes[i].fd = dial_port(trip->port);
	return lanes;
}

static void lanes_close(const struct trip *trip, struct lane *lanes)
{
	for (uint32_t i = 0; i < trip->connections; i++)
		close(lanes[i].fd);
	free(lanes);
}

/* ---- io_uring */

enum { BUFFERS = 256, BUFFER = 8192, GROUP = 1 };

struct hand {
	struct io_uring ring;
	struct io_uring_buf_ring *buffers;
	char *memory;
};

static struct io_uring_sqe *entry(struct hand *hand)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&hand->ring);

	if (sqe == NULL) {
		io_uring_submit(&hand->ring);
		sqe = io_uring_get_sqe(&hand->ring);
	}
	return sqe;
}

static void give_buffer(struct hand *hand, uint16_t id)
{
	io_uring_buf_ring_add(hand->buffers, hand->memory + (size_t)id * BUFFER, BUFFER, id,
			      io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(hand->buffers, 1);
}

static void hand_open(struct hand *hand)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN |
						   IORING_SETUP_CQSIZE,
					  .cq_entries = 2048 };
	struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = GROUP };

	hand->memory = aligned_alloc(4096, (size_t)BUFFERS * BUFFER);
	hand->buffers = aligned_alloc(4096, BUFFERS * sizeof(struct io_uring_buf));
	reg.ring_addr = (uint64_t)(uintptr_t)hand->buffers;
	if (io_uring_queue_init_params(256, &hand->ring, &params) != 0 ||
	    io_uring_register_ring_fd(&hand->ring) < 0 ||
	    io_uring_register_buf_ring(&hand->ring, &reg, 0) != 0)
		die("io_uring with provided buffers is not to be had here");
	io_uring_buf_ring_init(hand->buffers);
	for (uint16_t i = 0; i < BUFFERS; i++)
		give_buffer(hand, i);
}

static void hand_send(struct hand *hand, const struct lane *lane, const char *bytes, size_t size)
{
	struct io_uring_sqe *sqe = entry(hand);

	io_uring_prep_send(sqe, lane->fd, bytes, size, MSG_NOSIGNAL | MSG_WAITALL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS; /* the answer says that it was sent */
	io_uring_sqe_set_data(sqe, NULL);
}

static void hand_listen(struct hand *hand, struct lane *lane)
{
	struct io_uring_sqe *sqe = entry(hand);

	io_uring_prep_recv_multishot(sqe, lane->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	io_uring_sqe_set_data(sqe, lane);
}

/* True while the run goes on. */
static bool hand_arrived(struct hand *hand, struct trip *trip, const struct io_uring_cqe *cqe,
			 const char *bytes)
{
	struct lane *lane = io_uring_cqe_get_data(cqe);

	if (lane == NULL)
		return true;
	if (cqe->res > 0) {
		lane->got += (size_t)cqe->res;
		give_buffer(hand, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
	}
	if (!(cqe->flags & IORING_CQE_F_MORE))
		hand_listen(hand, lane);
	if (lane->got < trip->size)
		return true;
	lane->got = 0;
	lane->sent_ns = trip_done(trip, lane->sent_ns);
	if (lane->sent_ns == 0)
		return false;
	hand_send(hand, lane, bytes, trip->size);
	return true;
}

void trip_io_uring(struct trip *trip)
{
	struct lane *lanes = lanes_open(trip);
	char *bytes = request_of(trip);
	struct io_uring_cqe *cqes[128];
	struct hand hand;
	bool going = true;
	unsigned count;

	hand_open(&hand);
	for (uint32_t i = 0; i < trip->connections; i++)
		hand_listen(&hand, &lanes[i]);
	trip_begin(trip);
	for (uint32_t i = 0; i < trip->connections; i++) {
		lanes[i].sent_ns = trip->began_ns;
		hand_send(&hand, &lanes[i], bytes, trip->size);
	}
	while (going) {
		io_uring_submit_and_wait(&hand.ring, 1);
		while (going && (count = io_uring_peek_batch_cqe(&hand.ring, cqes, 128)) > 0) {
			for (unsigned i = 0; i < count; i++)
				going = hand_arrived(&hand, trip, cqes[i], bytes) && going;
			io_uring_cq_advance(&hand.ring, count);
		}
	}
	trip_end(trip);
	lanes_close(trip, lanes);
	io_uring_queue_exit(&hand.ring);
	free(hand.memory);
	free(hand.buffers);
	free(bytes);
}

/* ---- epoll and blocking */

static void lane_send(struct lane *lane, const char *bytes, size_t size)
{
	if (send(lane->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("the peer does not take a request");
}

static size_t lane_recv(struct lane *lane, char *answer, size_t capacity, int flags)
{
	ssize_t got = recv(lane->fd, answer, capacity, flags);

	if (got <= 0 && !(got < 0 && errno == EAGAIN))
		die("the peer closed a connection");
	return got > 0 ? (size_t)got : 0;
}

void trip_epoll(struct trip *trip)
{
	struct lane *lanes = lanes_open(trip);
	char *bytes = request_of(trip), *answer = malloc(65536);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[128];
	bool going = true;

	for (uint32_t i = 0; i < trip->connections; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &lanes[i] };

		if (epoll_ctl(epoll, EPOLL_CTL_ADD, lanes[i].fd, &event) != 0)
			die("epoll_ctl does not work");
	}
	trip_begin(trip);
	for (uint32_t i = 0; i < trip->connections; i++) {
		lanes[i].sent_ns = trip->began_ns;
		lane_send(&lanes[i], bytes, trip->size);
	}
	while (going) {
		int count = epoll_wait(epoll, events, 128, -1);

		for (int i = 0; going && i < count; i++) {
			struct lane *lane = events[i].data.ptr;

			lane->got += lane_recv(lane, answer, 65536, MSG_DONTWAIT);
			if (lane->got < trip->size)
				continue;
			lane->got = 0;
			lane->sent_ns = trip_done(trip, lane->sent_ns);
			going = lane->sent_ns != 0;
			if (going)
				lane_send(lane, bytes, trip->size);
		}
	}
	trip_end(trip);
	lanes_close(trip, lanes);
	close(epoll);
	free(bytes);
	free(answer);
}

/* All requests, then all answers: what one thread with blocking calls can do. */
void trip_blocking(struct trip *trip)
{
	struct lane *lanes = lanes_open(trip);
	char *bytes = request_of(trip), *answer = malloc(65536);
	bool going = true;

	trip_begin(trip);
	while (going) {
		for (uint32_t i = 0; i < trip->connections; i++) {
			lanes[i].sent_ns = clock_now();
			lane_send(&lanes[i], bytes, trip->size);
		}
		for (uint32_t i = 0; i < trip->connections; i++) {
			for (lanes[i].got = 0; lanes[i].got < trip->size;)
				lanes[i].got += lane_recv(&lanes[i], answer, 65536, 0);
			going = trip_done(trip, lanes[i].sent_ns) != 0 && going;
		}
	}
	trip_end(trip);
	lanes_close(trip, lanes);
	free(bytes);
	free(answer);
}
