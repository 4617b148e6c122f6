/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.c - a program with an event loop of its own: kolk's loop is one descriptor in it.
 *
 * Three lines join the two: add kolk_loop_fd to the epoll set, bound each wait by
 * kolk_loop_next_timer, and step with time-out 0 after it. There is no tick: the loop says when
 * it has something to do. The program's own event here is a signal: Ctrl-C ends it early.
 */
#include <kolk/kolk.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "upstream/upstream.h"

enum { REQUESTS = 1000, AT_ONCE = 8 };

static const char question[] = "hello\n";

struct request {
	struct kolk_acquire acquire;
	struct kolk_io io;
	struct kolk_lease lease;
	char answer[64];
	size_t size;
};

static struct kolk_engine *engine;
static struct kolk_loop *loop;
static struct kolk_key *key;
static struct request request[AT_ONCE];
static int wanted = REQUESTS, begun, ended, failed;

static void begin(struct request *r);

/* The request has ended; the next one takes its place. */
static void finished(struct request *r, enum kolk_err err)
{
	ended++;
	if (err != KOLK_OK) {
		fprintf(stderr, "%s\n", kolk_err_text(err));
		failed++;
	}
	if (begun < wanted)
		begin(r);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct request *r = user;

	r->size += size;
	if (err == KOLK_OK && r->size < strlen(question))
		err = kolk_recv_async(loop, &r->lease, &r->io, r->answer + r->size,
				      sizeof r->answer - r->size, kolk_in_ms(2000), on_received,
				      r);
	if (err == KOLK_PENDING)
		return;
	kolk_release(&r->lease);
	finished(r, err);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	(void)size;
	on_received(user, err, 0);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct request *r = user;

	if (err != KOLK_OK) {
		finished(r, err);
		return;
	}
	r->lease = *lease;
	err = kolk_send_async(loop, &r->lease, &r->io, question, strlen(question),
			      kolk_in_ms(2000), on_sent, r);
	if (err != KOLK_PENDING)
		on_sent(r, err, 0);
}

static void begin(struct request *r)
{
	enum kolk_err err;

	begun++;
	r->size = 0;
	err = kolk_acquire_async(loop, key, kolk_in_ms(2000), &r->acquire, on_lease, r);
	if (err == KOLK_OK)
		on_lease(r, KOLK_OK, &r->acquire.lease);
	else if (err != KOLK_PENDING)
		finished(r, err);
}

/* How long the program may sleep: until kolk's next timer, rounded up; -1 = for ever. */
static int wait_ms(void)
{
	uint64_t timer_ns = kolk_loop_next_timer(loop);
	uint64_t now_ns = kolk_engine_now(engine);

	if (timer_ns == KOLK_FOREVER)
		return -1;
	return timer_ns <= now_ns ? 0 : (int)((timer_ns - now_ns) / KOLK_MS_NS) + 1;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void turn(int epoll, int signals)
{
	struct epoll_event event[8];
	int count = epoll_wait(epoll, event, 8, wait_ms());

	for (int i = 0; i < count; i++)
		if (event[i].data.fd == signals)
			wanted = begun; /* finish what is under way */
	kolk_loop_step(loop, 0);
}

int main(int argc, char **argv)
{
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool_options = KOLK_INIT(kolk_pool_options);
	int epoll = epoll_create1(EPOLL_CLOEXEC), signals;
	struct kolk_pool *pool;
	sigset_t interrupt;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, NULL);
	signals = signalfd(-1, &interrupt, SFD_CLOEXEC | SFD_NONBLOCK);
	engine_options.loops = 1;
	engine_options.loop_owner = KOLK_LOOPS_EMBEDDER;
	pool_options.name = "echo";
	pool_options.address = upstream_address(argc, argv);
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &pool_options, &pool) != KOLK_OK)
		return 1;
	loop = kolk_engine_loop(engine, 0);
	key = kolk_pool_key(pool);
	watch(epoll, signals);
	watch(epoll, kolk_loop_fd(loop));
	kolk_loop_step(loop, 0);
	for (int i = 0; i < AT_ONCE; i++)
		begin(&request[i]);

	while (ended < wanted)
		turn(epoll, signals);
	/* Close what is open while the loop still turns, then the engine. */
	kolk_engine_drain(engine, kolk_in_ms(1000));
	while (!kolk_engine_is_closed(engine))
		turn(epoll, signals);

	printf("%d requests from a foreign epoll loop, %d failed, %s\n", ended, failed,
	       kolk_engine_backend(engine));
	kolk_engine_destroy(engine);
	close(signals);
	close(epoll);
	return failed != 0;
}
