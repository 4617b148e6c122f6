/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - one thread, poll, two buffers per connection. */
#define _GNU_SOURCE
#include "tests/kit/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/kit/measure.h"
#include "tests/kit/tap.h"

enum { BUFFER = 16384, WIRES = 1024, TARGET = 112 };

enum fault { NONE, CUT, RESET, STALL };

/* One direction. */
struct flow {
	size_t from, to;  /* in buffer: what is to go on */
	bool ended, sink_ended; /* the source has ended; the sink was closed */
	bool splits;
	uint64_t pause_ns; /* nothing before */
	uint64_t passed;
	char buffer[BUFFER];
};

/* A connection: its two sockets (0 the client's, 1 the server's), its two flows by source. */
struct wire {
	int fd[2];
	struct flow flow[2];
	uint64_t random;
	enum fault fault;
	int fault_flow;
	uint64_t fault_at;
	bool stalled;
	uint64_t active_ns; /* when something last came or went */
};

struct kit_relay {
	char target[TARGET], address[32];
	int listener, event;
	pthread_t thread;
	uint64_t seed;
	pthread_mutex_t lock; /* of what follows */
	struct kit_relay_faults faults;
	struct kit_relay_counts counts;
	bool stop, stalled, hang_up, hang_up_reset;
	struct wire *wires[WIRES]; /* the thread's alone */
};

/* ---- chance */

static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static bool chance(struct wire *wire, uint32_t permille)
{
	return draw(&wire->random) % 1000 < permille;
}

static void draw_fault(struct wire *wire, const struct kit_relay_faults *faults)
{
	uint64_t roll = draw(&wire->random) % 1000;
	uint32_t within = faults->within_bytes == 0 ? 4096 : faults->within_bytes;

	wire->fault = roll < faults->cut				   ? CUT
		      : roll < faults->cut + faults->reset		   ? RESET
		      : roll < faults->cut + faults->reset + faults->stall ? STALL
									   : NONE;
	wire->fault_flow = (int)(draw(&wire->random) % 2);
	wire->fault_at = draw(&wire->random) % (within + 1);
}

/* ---- sockets */

static void end_socket(int *fd, bool reset)
{
	const struct linger linger = { 1, 0 };

	if (*fd < 0)
		return;
	if (reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(*fd);
	*fd = -1;
}

static void wire_end(struct kit_relay *relay, uint32_t slot, bool reset)
{
	struct wire *wire = relay->wires[slot];

	end_socket(&wire->fd[0], reset);
	end_socket(&wire->fd[1], reset);
	free(wire);
	relay->wires[slot] = NULL;
	relay->counts.open--;
}

static int dial(const char *target)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bool local = strncmp(target, "unix:", 5) == 0;
	int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);
	int one = 1, result;

	if (local) {
		snprintf(un.sun_path, sizeof un.sun_path, "%s", target + 5);
		result = connect(fd, (struct sockaddr *)&un, sizeof un);
	} else {
		in.sin_port = htons((uint16_t)atoi(strrchr(target, ':') + 1));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		result = connect(fd, (struct sockaddr *)&in, sizeof in);
	}
	if (result != 0 && errno != EINPROGRESS)
		end_socket(&fd, false);
	return fd;
}

static void meet(struct kit_relay *relay, int fd)
{
	struct wire *wire = calloc(1, sizeof *wire);
	uint32_t slot = 0;
	int one = 1;

	if (wire == NULL)
		abort();
	while (slot < WIRES && relay->wires[slot] != NULL)
		slot++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	wire->random =
		(relay->seed + ++relay->counts.connections) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (int i = 0; i < 4; i++)
		draw(&wire->random);
	draw_fault(wire, &relay->faults);
	wire->fd[0] = fd;
	wire->fd[1] = -1;
	wire->active_ns = clock_now();
	if (slot == WIRES || chance(wire, relay->faults.refuse) ||
	    (wire->fd[1] = dial(relay->target)) < 0) {
		relay->counts.refused++;
		end_socket(&wire->fd[0], true);
		free(wire);
		return;
	}
	relay->wires[slot] = wire;
	relay->counts.open++;
}

/* ---- data */

/* How much may go on before the fault strikes; *strikes = it is here. */
static size_t until_fault(const struct wire *wire, int source, size_t size, bool *strikes)
{
	uint64_t left;

	*strikes = false;
	if (wire->fault == NONE || wire->fault_flow != source)
		return size;
	left = wire->fault_at - wire->flow[source].passed;
	*strikes = left == 0;
	return size < left ? size : (size_t)left;
}

/* False when the connection has ended. */
static bool apply_fault(struct kit_relay *relay, uint32_t slot)
{
	struct wire *wire = relay->wires[slot];

	if (wire->fault == STALL) {
		relay->counts.stalled += !wire->stalled;
		wire->stalled = true;
		return true;
	}
	*(wire->fault == CUT ? &relay->counts.cut : &relay->counts.reset) += 1;
	wire_end(relay, slot, wire->fault == RESET);
	return false;
}

/* What the source says; the faults of this piece. False = the source was reset. */
static bool flow_in(struct kit_relay *relay, struct wire *wire, int source)
{
	struct flow *flow = &wire->flow[source];
	uint32_t most = relay->faults.delay_us == 0 ? 2000 : relay->faults.delay_us;
	ssize_t got = recv(wire->fd[source], flow->buffer, BUFFER, 0);

	if (got < 0)
		return errno == EAGAIN;
	wire->active_ns = clock_now();
	flow->from = 0;
	flow->to = (size_t)got;
	flow->ended = got == 0;
	flow->splits = chance(wire, relay->faults.split);
	relay->counts.split += flow->splits;
	if (chance(wire, relay->faults.delay)) {
		flow->pause_ns = clock_now() + draw(&wire->random) % most * 1000;
		relay->counts.delayed++;
	}
	return true;
}

/* False = the connection has ended. */
static bool flow_out(struct kit_relay *relay, uint32_t slot, int source)
{
	struct wire *wire = relay->wires[slot];
	struct flow *flow = &wire->flow[source];
	size_t size = flow->to - flow->from;
	bool strikes;
	ssize_t sent;

	if (flow->splits && size > 7)
		size = 1 + draw(&wire->random) % 7;
	size = until_fault(wire, source, size, &strikes);
	if (strikes)
		return apply_fault(relay, slot);
	sent = size == 0
		       ? 0
		       : send(wire->fd[!source], flow->buffer + flow->from, size, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		wire_end(relay, slot, true);
		return false;
	}
	if (sent > 0) {
		wire->active_ns = clock_now();
		flow->from += (size_t)sent;
		flow->passed += (size_t)sent;
		*(source == 0 ? &relay->counts.bytes_to_server
			      : &relay->counts.bytes_to_client) += (uint64_t)sent;
	}
	if (flow->ended && flow->from == flow->to && !flow->sink_ended) {
		flow->sink_ended = true;
		shutdown(wire->fd[!source], SHUT_WR);
	}
	return true;
}

/* One look at a connection: what came, what can go on. */
static void wire_step(struct kit_relay *relay, uint32_t slot, const short revents[2],
		      uint64_t now)
{
	struct wire *wire = relay->wires[slot];

	if (wire->stalled) {
		if ((revents[0] & (POLLHUP | POLLERR | POLLRDHUP)) !=
		    0) /* the client closed */
			wire_end(relay, slot, false);
		return;
	}
	for (int source = 0; source < 2; source++) {
		struct flow *flow = &wire->flow[source];

		if (flow->from == flow->to && !flow->ended &&
		    (revents[source] & (POLLIN | POLLHUP | POLLERR)) != 0 &&
		    !flow_in(relay, wire, source)) {
			wire_end(relay, slot, true);
			return;
		}
		if ((flow->from < flow->to || (flow->ended && !flow->sink_ended)) &&
		    now >= flow->pause_ns && !flow_out(relay, slot, source))
			return;
		if (wire->stalled)
			return;
	}
	if (wire->flow[0].sink_ended && wire->flow[1].sink_ended)
		wire_end(relay, slot, false);
}

/* ---- the thread */

/* What to wait for on both sockets; lowers *wake_ns when a pause ends before. */
static void wire_events(const struct wire *wire, bool stalled, struct pollfd fds[2],
			uint64_t now, uint64_t *wake_ns)
{
	for (int i = 0; i < 2; i++)
		fds[i] = (struct pollfd){ .fd = wire->fd[i] };
	if (stalled || wire->stalled) {
		fds[0].events = POLLRDHUP;
		fds[1].fd = -1;
		return;
	}
	for (int source = 0; source < 2; source++) {
		const struct flow *flow = &wire->flow[source];

		if (flow->from < flow->to || (flow->ended && !flow->sink_ended)) {
			if (now >= flow->pause_ns)
				fds[!source].events |= POLLOUT;
			else if (flow->pause_ns < *wake_ns)
				*wake_ns = flow->pause_ns;
		} else if (!flow->ended) {
			fds[source].events |= POLLIN;
		}
	}
	for (int i = 0; i < 2; i++) /* one that has ended would say so again and again */
		if (fds[i].events == 0)
			fds[i].fd = -1;
}

/* When silence ends a connection; UINT64_MAX = never, or there is something to say. */
static uint64_t idle_until(const struct kit_relay *relay, const struct wire *wire)
{
	bool busy =
		wire->flow[0].from < wire->flow[0].to || wire->flow[1].from < wire->flow[1].to;

	return relay->faults.idle_us == 0 || busy || wire->stalled
		       ? UINT64_MAX
		       : wire->active_ns + relay->faults.idle_us * (uint64_t)1000;
}

/* Commands that arrived meanwhile; false = stop. */
static bool obey(struct kit_relay *relay)
{
	uint64_t drop;

	(void)!read(relay->event, &drop, sizeof drop);
	for (uint32_t i = 0; i < WIRES; i++)
		if ((relay->hang_up || relay->stop) && relay->wires[i] != NULL)
			wire_end(relay, i, relay->hang_up_reset);
	relay->hang_up = false;
	return !relay->stop;
}

/* What the thread waits for. */
struct watch {
	struct pollfd fds[2 * WIRES + 2];
	uint32_t slots[WIRES], count;
	uint64_t wake_ns;
};

static void gather(struct kit_relay *relay, struct watch *watch, uint64_t now)
{
	watch->count = 0;
	watch->wake_ns = now + 1000000000;
	watch->fds[0] = (struct pollfd){ .fd = relay->event, .events = POLLIN };
	watch->fds[1] = (struct pollfd){ .fd = relay->listener, .events = POLLIN };
	for (uint32_t i = 0; i < WIRES; i++) {
		struct wire *wire = relay->wires[i];

		if (wire == NULL)
			continue;
		wire_events(wire, relay->stalled, &watch->fds[2 + 2 * watch->count], now,
			    &watch->wake_ns);
		if (idle_until(relay, wire) < watch->wake_ns)
			watch->wake_ns = idle_until(relay, wire);
		watch->slots[watch->count++] = i;
	}
	watch->wake_ns = watch->wake_ns > now ? watch->wake_ns : now;
}

static void serve(struct kit_relay *relay, const struct watch *watch, uint64_t now)
{
	int fd;

	for (uint32_t i = 0; i < watch->count; i++) {
		const short revents[2] = { watch->fds[2 + 2 * i].revents,
					   watch->fds[3 + 2 * i].revents };
		uint32_t slot = watch->slots[i];

		if (!relay->stalled || relay->wires[slot]->stalled)
			wire_step(relay, slot, revents, now);
		else if (revents[0] != 0)
			wire_end(relay, slot, false);
		if (relay->wires[slot] != NULL &&
		    idle_until(relay, relay->wires[slot]) <= now) {
			relay->counts.idled++;
			wire_end(relay, slot, relay->faults.idle_reset);
		}
	}
	if (watch->fds[1].revents == 0)
		return;
	while ((fd = accept4(relay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		meet(relay, fd);
}

static void *run(void *user)
{
	struct kit_relay *relay = user;
	struct watch *watch = calloc(1, sizeof *watch);
	bool going = true;

	if (watch == NULL)
		abort();
	while (going) {
		uint64_t now = clock_now();
		struct timespec time;

		pthread_mutex_lock(&relay->lock);
		gather(relay, watch, now);
		pthread_mutex_unlock(&relay->lock);
		time = (struct timespec){ 0, (long)(watch->wake_ns - now) };
		if (time.tv_nsec >= 1000000000)
			time = (struct timespec){ 1, 0 };
		ppoll(watch->fds, 2 + 2 * watch->count, &time, NULL);
		pthread_mutex_lock(&relay->lock);
		serve(relay, watch, clock_now());
		going = obey(relay);
		pthread_mutex_unlock(&relay->lock);
	}
	free(watch);
	return NULL;
}

/* ---- open and close */

static bool start(struct kit_relay *relay)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof in;

	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	relay->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (bind(relay->listener, (struct sockaddr *)&in, size) != 0 ||
	    getsockname(relay->listener, (struct sockaddr *)&in, &size) != 0 ||
	    listen(relay->listener, 4096) != 0)
		return false;
	snprintf(relay->address, sizeof relay->address, "127.0.0.1:%d", ntohs(in.sin_port));
	return pthread_create(&relay->thread, NULL, run, relay) == 0;
}

struct kit_relay *kit_relay_open(const struct kit_relay_options *options)
{
	struct kit_relay *relay = calloc(1, sizeof *relay);

	if (relay == NULL)
		abort();
	snprintf(relay->target, sizeof relay->target, "%s", options->target);
	relay->seed = options->seed;
	relay->faults = options->faults;
	pthread_mutex_init(&relay->lock, NULL);
	if (CHECK(start(relay)))
		return relay;
	close(relay->listener);
	close(relay->event);
	free(relay);
	return NULL;
}

static void wake(struct kit_relay *relay)
{
	const uint64_t one = 1;

	CHECK(write(relay->event, &one, sizeof one) == sizeof one);
	pthread_mutex_unlock(&relay->lock);
}

void kit_relay_close(struct kit_relay *relay)
{
	if (relay == NULL)
		return;
	pthread_mutex_lock(&relay->lock);
	relay->stop = true;
	wake(relay);
	pthread_join(relay->thread, NULL);
	close(relay->listener);
	close(relay->event);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

const char *kit_relay_address(const struct kit_relay *relay)
{
	return relay->address;
}

struct kit_relay_counts kit_relay_counts(struct kit_relay *relay)
{
	struct kit_relay_counts counts;

	pthread_mutex_lock(&relay->lock);
	counts = relay->counts;
	pthread_mutex_unlock(&relay->lock);
	return counts;
}

void kit_relay_faults(struct kit_relay *relay, const struct kit_relay_faults *faults)
{
	pthread_mutex_lock(&relay->lock);
	relay->faults = *faults;
	wake(relay);
}

void kit_relay_stall(struct kit_relay *relay, bool stalled)
{
	pthread_mutex_lock(&relay->lock);
	relay->stalled = stalled;
	wake(relay);
}

uint32_t kit_relay_say(struct kit_relay *relay, const void *data, size_t size)
{
	uint32_t sink_ended = 0;

	pthread_mutex_lock(&relay->lock);
	for (uint32_t i = 0; i < WIRES; i++)
		sink_ended += relay->wires[i] != NULL &&
			send(relay->wires[i]->fd[0], data, size, MSG_NOSIGNAL) == (ssize_t)size;
	pthread_mutex_unlock(&relay->lock);
	return sink_ended;
}

void kit_relay_hang_up(struct kit_relay *relay, bool reset)
{
	pthread_mutex_lock(&relay->lock);
	relay->hang_up = true;
	relay->hang_up_reset = reset;
	wake(relay);
}
