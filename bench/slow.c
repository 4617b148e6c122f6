/* SPDX-License-Identifier: Apache-2.0 */
/* slow.c - an upstream that takes its time, on one thread: all take equally long, so what came
 * first is due first. */
#define _GNU_SOURCE
#include "bench/slow.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench/kit.h"

enum { QUEUE = 4096 }; /* power of two; more than there are connections */

struct slow {
	int listener, epoll, timer, stop;
	uint16_t port;
	uint64_t delay_ns;
	pthread_t thread;
	uint32_t first, end; /* of the queue, modulo QUEUE */
	struct {
		int fd;
		uint64_t due_ns;
	} queue[QUEUE];
};

static void watch(struct slow *slow, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(slow->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("the slow peer is out of memory");
}

static void accept_all(struct slow *slow)
{
	int fd, one = 1;

	while ((fd = accept4(slow->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		watch(slow, fd);
	}
}

static void timer_set(struct slow *slow)
{
	uint64_t due_ns = slow->queue[slow->first % QUEUE].due_ns;
	struct itimerspec when = { .it_value = { (time_t)(due_ns / KOLK_S_NS),
						 (long)(due_ns % KOLK_S_NS) } };

	(void)timerfd_settime(slow->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* A client does not close before it has its answer: a descriptor in the queue stays good. */
static void take(struct slow *slow, int fd)
{
	char bytes[SLOW_SIZE];

	if (recv(fd, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) {
		/* close alone leaves it in the set while a child has a copy, before its exec */
		epoll_ctl(slow->epoll, EPOLL_CTL_DEL, fd, NULL);
		close(fd);
		return;
	}
	if (slow->end - slow->first == QUEUE)
		die("too many requests for the slow peer");
	slow->queue[slow->end % QUEUE].fd = fd;
	slow->queue[slow->end % QUEUE].due_ns = clock_now() + slow->delay_ns;
	if (slow->end++ == slow->first)
		timer_set(slow);
}

static void answer_due(struct slow *slow)
{
	static const char bytes[SLOW_SIZE];
	uint64_t now_ns = clock_now(), expired;

	(void)!read(slow->timer, &expired, sizeof expired);
	while (slow->first != slow->end && slow->queue[slow->first % QUEUE].due_ns <= now_ns)
		(void)send(slow->queue[slow->first++ % QUEUE].fd, bytes, sizeof bytes,
			   MSG_NOSIGNAL);
	if (slow->first != slow->end)
		timer_set(slow);
}

static void *serve(void *arg)
{
	struct epoll_event events[64];
	struct slow *slow = arg;

	for (;;) {
		int count = epoll_wait(slow->epoll, events, 64, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == slow->stop)
				return NULL;
			if (fd == slow->listener)
				accept_all(slow);
			else if (fd == slow->timer)
				answer_due(slow);
			else
				take(slow, fd);
		}
	}
}

struct slow *slow_open(uint64_t delay_ns)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	struct slow *slow = calloc(1, sizeof *slow);

	slow->delay_ns = delay_ns;
	slow->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	slow->epoll = epoll_create1(EPOLL_CLOEXEC);
	slow->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	slow->stop = eventfd(0, EFD_CLOEXEC);
	if (slow->listener < 0 || slow->epoll < 0 || slow->timer < 0 || slow->stop < 0 ||
	    bind(slow->listener, (struct sockaddr *)&address, size) != 0 ||
	    listen(slow->listener, 1024) != 0 ||
	    getsockname(slow->listener, (struct sockaddr *)&address, &size) != 0)
		die("cannot open a slow peer on loopback");
	slow->port = ntohs(address.sin_port);
	watch(slow, slow->listener);
	watch(slow, slow->timer);
	watch(slow, slow->stop);
	if (pthread_create(&slow->thread, NULL, serve, slow) != 0)
		die("cannot start the slow peer");
	return slow;
}

void slow_close(struct slow *slow)
{
	uint64_t one = 1;

	if (write(slow->stop, &one, sizeof one) != sizeof one)
		die("cannot stop the slow peer");
	pthread_join(slow->thread, NULL);
	close(slow->listener);
	close(slow->epoll);
	close(slow->timer);
	close(slow->stop);
	free(slow);
}

uint16_t slow_port(const struct slow *slow)
{
	return slow->port;
}
