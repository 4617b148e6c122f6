/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_net.c - the simulated network: sockets, names and peers. What a peer does travels as a
 * delivery with a latency; deliveries to one socket stay in order.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_world.h"

enum { FIRST_FD = 3 };

enum happening { DATA, END, RESET };

struct delivery {
	struct kolk__timer timer; /* first */
	uint32_t socket, generation;
	enum happening what;
	uint32_t size;
	uint8_t bytes[];
};

struct sim_socket *sim_socket_of(struct kolk__sim *sim, int fd)
{
	struct sim_socket *socket;

	if (fd < FIRST_FD || fd >= FIRST_FD + SIM_SOCKETS) {
		sim_break(sim, "an operation on what is no socket");
		return &sim->sockets[0];
	}
	socket = &sim->sockets[fd - FIRST_FD];
	if (!socket->open)
		sim_break(sim, "an operation on a closed socket");
	return socket;
}

bool sim_has_news(const struct sim_socket *socket)
{
	return socket->received > 0 || socket->ended || socket->reset;
}

/* ---- peers */

static void deliver(struct kolk__sim *sim, struct delivery *delivery)
{
	struct sim_socket *socket = &sim->sockets[delivery->socket];

	if (!socket->open || socket->generation != delivery->generation || socket->reset)
		return;
	if (delivery->what == END)
		socket->ended = true;
	if (delivery->what == RESET)
		socket->reset = true;
	if (delivery->what == DATA && sim->peer != NULL &&
	    socket->received + delivery->size > SIM_RX)
		sim_break(sim, "a peer said more than a socket holds");
	if (delivery->what == DATA && !socket->ended &&
	    socket->received + delivery->size <= SIM_RX) {
		memcpy(socket->rx + socket->received, delivery->bytes, delivery->size);
		socket->received += delivery->size;
	}
	sim_poke(sim, socket);
}

static void close_what_idles(struct kolk__sim *sim)
{
	for (struct sim_socket *socket = sim->sockets; socket < sim->sockets + SIM_SOCKETS; socket++)
		if (socket->open && socket->connected && !socket->ended && !socket->queued &&
		    sim->now_ns - socket->active_ns >= sim->idle_limit_ns) {
			socket->ended = true;
			sim_poke(sim, socket);
		}
}

void sim_deliver_due(struct kolk__sim *sim)
{
	struct kolk__timer *timer;

	if (sim->idle_limit_ns != 0)
		close_what_idles(sim);

	while ((timer = kolk__heap_min(&sim->deliveries)) != NULL &&
	       timer->due_ns <= sim->now_ns) {
		struct delivery *delivery = (struct delivery *)(void *)timer;

		kolk__heap_remove(&sim->deliveries, timer);
		deliver(sim, delivery);
		free(delivery);
	}
}

static void send_later(struct kolk__sim *sim, struct sim_socket *socket, enum happening what,
		       const uint8_t *bytes, uint32_t size)
{
	struct delivery *delivery = calloc(1, sizeof *delivery + size);
	uint64_t due_ns = sim->now_ns + sim_latency(sim, 20 * KOLK_US_NS, 5 * KOLK_MS_NS);

	if (sim_fault(sim, KOLK__SIM_SLOW))
		due_ns += kolk__sim_below(sim, 10 * KOLK_S_NS);
	if (due_ns < socket->last_due_ns)
		due_ns = socket->last_due_ns;
	socket->last_due_ns = due_ns + 1;
	delivery->socket = (uint32_t)(socket - sim->sockets);
	delivery->generation = socket->generation;
	delivery->what = what;
	delivery->size = size;
	if (size > 0)
		memcpy(delivery->bytes, bytes, size);
	kolk__heap_push(&sim->deliveries, &delivery->timer, due_ns);
}

void sim_accepted(struct kolk__sim *sim, struct sim_socket *socket)
{
	socket->active_ns = sim->now_ns;
	if (sim_fault(sim, KOLK__SIM_HANG_UP))
		send_later(sim, socket, kolk__sim_below(sim, 4) == 0 ? RESET : END, NULL, 0);
}

static uint64_t peer_of_socket(const struct kolk__sim *sim, const struct sim_socket *socket)
{
	return (uint64_t)socket->generation * SIM_SOCKETS + (uint64_t)(socket - sim->sockets);
}

uint64_t kolk__sim_peer(const struct kolk__sim *sim, int fd)
{
	return peer_of_socket(sim, &sim->sockets[fd - FIRST_FD]);
}

static struct sim_socket *socket_of_peer(struct kolk__sim *sim, uint64_t peer)
{
	struct sim_socket *socket = &sim->sockets[peer % SIM_SOCKETS];

	return socket->open && socket->generation == peer / SIM_SOCKETS ? socket : NULL;
}

void kolk__sim_peers(struct kolk__sim *sim, kolk__sim_peer_fn *peer, void *user)
{
	sim->peer = peer;
	sim->peer_user = user;
}

void kolk__sim_peer_says(struct kolk__sim *sim, uint64_t peer, const void *bytes, size_t size)
{
	struct sim_socket *socket = socket_of_peer(sim, peer);

	if (socket != NULL && !socket->mute)
		send_later(sim, socket, DATA, bytes, (uint32_t)size);
}

void kolk__sim_peer_ends(struct kolk__sim *sim, uint64_t peer, bool reset)
{
	struct sim_socket *socket = socket_of_peer(sim, peer);

	if (socket != NULL && !socket->mute)
		send_later(sim, socket, reset ? RESET : END, NULL, 0);
}

/* PING is answered, everything else comes back as it is. */
static void peer_gets(struct kolk__sim *sim, struct sim_socket *socket, const uint8_t *bytes,
		      size_t size)
{
	static const char ping[] = "PING\r\n", pong[] = "+PONG\r\n";
	bool dials = socket->dialled && sim->dialler != NULL;
	kolk__sim_peer_fn *peer = dials ? sim->dialler : sim->peer;
	uint8_t answer[SIM_RX * 2];
	uint32_t length = 0;

	if (socket->mute || (socket->mute = sim_fault(sim, KOLK__SIM_MUTE)))
		return;
	if (peer != NULL)
		peer(dials ? sim->dialler_user : sim->peer_user, peer_of_socket(sim, socket),
		     socket->port, bytes, size);
	for (size_t i = 0; i < size && peer == NULL && length < SIM_RX; i++) {
		if (bytes[i] == (uint8_t)ping[socket->matched]) {
			if (++socket->matched < sizeof ping - 1)
				continue;
			memcpy(answer + length, pong, sizeof pong - 1);
			length += sizeof pong - 1;
			socket->matched = 0;
			continue;
		}
		memcpy(answer + length, ping, socket->matched);
		length += socket->matched;
		answer[length++] = bytes[i];
		socket->matched = 0;
	}
	if (length > 0)
		send_later(sim, socket, DATA, answer, length);
	if (sim_fault(sim, KOLK__SIM_EOF))
		send_later(sim, socket, END, NULL, 0);
	if (sim_fault(sim, KOLK__SIM_RESET))
		send_later(sim, socket, RESET, NULL, 0);
}

void kolk__sim_hurt(struct kolk__sim *sim)
{
	struct sim_socket *socket = &sim->sockets[kolk__sim_below(sim, SIM_SOCKETS)];

	for (int i = 0; i < SIM_SOCKETS && !(socket->open && socket->connected); i++)
		socket = socket == &sim->sockets[SIM_SOCKETS - 1] ? sim->sockets : socket + 1;
	if (!socket->open || !socket->connected)
		return;
	switch (kolk__sim_below(sim, 4)) {
	case 0:
		sim->fired[KOLK__SIM_EOF]++;
		send_later(sim, socket, END, NULL, 0);
		break;
	case 1:
		sim->fired[KOLK__SIM_RESET]++;
		send_later(sim, socket, RESET, NULL, 0);
		break;
	case 2:
		if (socket->dialled && sim->dialler != NULL)
			break; /* it knows what it said */
		sim->fired[KOLK__SIM_JUNK]++;
		send_later(sim, socket, DATA, (const uint8_t *)"junk", 4);
		break;
	default:
		sim->fired[KOLK__SIM_MUTE]++;
		socket->mute = true;
	}
}

void kolk__sim_idle_limit(struct kolk__sim *sim, uint64_t ns)
{
	sim->idle_limit_ns = ns;
}

void kolk__sim_outage(struct kolk__sim *sim, uint64_t until_ns)
{
	sim->outage_ns = until_ns;
}

/* ---- sockets, directly */

struct sim_socket *sim_socket_free(struct kolk__sim *sim)
{
	for (int i = 0; i < SIM_SOCKETS; i++) {
		struct sim_socket *socket = &sim->sockets[i];

		if (socket->open)
			continue;
		*socket = (struct sim_socket){ .generation = socket->generation + 1,
					       .active_ns = sim->now_ns };
		return socket;
	}
	return NULL;
}

int sim_fd_of(const struct kolk__sim *sim, const struct sim_socket *socket)
{
	return FIRST_FD + (int)(socket - sim->sockets);
}

static int sock_open(void *context, uint32_t family, const struct kolk_sock_options *options)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket;

	(void)family;
	(void)options;
	if (sim_fault(sim, KOLK__SIM_EMFILE))
		return -EMFILE;
	socket = sim_socket_free(sim);
	if (socket == NULL) {
		sim_break(sim, "more sockets than the limits allow");
		return -EMFILE;
	}
	socket->open = true;
	sim->sockets_open++;
	return sim_fd_of(sim, socket);
}

void sim_sock_close(void *context, int fd)
{
	struct kolk__sim *sim = context;

	for (uint32_t i = 0; i < sim->flying_count; i++)
		if (sim->flying[i]->fd == fd && sim->flying[i]->kind != KOLK_OP_WORK &&
		    sim->flying[i]->kind != KOLK_OP_RESOLVE)
			sim_break(sim, "a socket was closed under an operation");
	sim_unlisten(sim, sim_socket_of(sim, fd));
	sim_socket_of(sim, fd)->open = false;
	sim->sockets_open--;
}

/* Fewer than asked for, sometimes. */
static size_t shortened(struct kolk__sim *sim, size_t size)
{
	return size > 1 && sim_fault(sim, KOLK__SIM_SHORT) ? 1 + kolk__sim_below(sim, size - 1) :
							     size;
}

int64_t sim_sock_send(void *context, int fd, const void *data, size_t size)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = sim_socket_of(sim, fd);

	if (socket->reset)
		return -ECONNRESET;
	socket->active_ns = sim->now_ns;
	size = shortened(sim, size);
	peer_gets(sim, socket, data, size);
	return (int64_t)size;
}

int64_t sim_sock_recv(void *context, int fd, void *data, size_t size)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = sim_socket_of(sim, fd);

	if (socket->reset)
		return -ECONNRESET;
	if (socket->received == 0)
		return socket->ended ? 0 : -EAGAIN;
	size = shortened(sim, size < socket->received ? size : socket->received);
	memcpy(data, socket->rx, size);
	socket->received -= (uint32_t)size;
	memmove(socket->rx, socket->rx + size, socket->received);
	return (int64_t)size;
}

static int64_t sock_peek(void *context, int fd)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = sim_socket_of(sim, fd);

	sim_deliver_due(sim);
	return socket->reset ? -ECONNRESET : socket->received > 0 ? 1 : socket->ended ? 0 : -EAGAIN;
}

static int sock_wait(void *context, int fd, uint32_t events, uint64_t deadline_ns)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = sim_socket_of(sim, fd);

	for (;;) {
		sim_deliver_due(sim);
		if (events & KOLK_SOCK_WRITABLE || sim_has_news(socket))
			return 1;
		if (sim->now_ns >= deadline_ns)
			return 0;
		if (sim->turn != NULL)
			sim->turn(sim->turn_user);
		else
			kolk__sim_pass(sim, KOLK_MS_NS);
	}
}

static int sock_info(void *context, int fd, uint32_t *rtt_us, uint32_t *resent)
{
	(void)sim_socket_of(context, fd);
	*rtt_us = 1000;
	*resent = 0;
	return 0;
}

static void sock_acknowledge(void *context, int fd)
{
	(void)sim_socket_of(context, fd);
}

static void sock_shutdown(void *context, int fd)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = sim_socket_of(sim, fd);

	socket->ended = true;
	sim_poke(sim, socket);
}

/* One of 64 addresses changes now and then; answers are good for up to 20 s. */
int32_t sim_resolve(struct kolk__sim *sim, struct kolk_lookup *lookup)
{
	uint32_t count = 1 + (uint32_t)kolk__sim_below(sim, 3);

	if (sim_fault(sim, KOLK__SIM_RESOLVE))
		return -ENOENT;
	lookup->ttl_s = (uint32_t)kolk__sim_below(sim, 20);
	for (uint32_t i = 0; i < count && i < lookup->capacity; i++)
		lookup->addresses[i] = (struct kolk_address){
			.size = sizeof(struct sockaddr_in), .family = AF_INET,
			.bytes = { 0, 0, 0, 0, (uint8_t)kolk__sim_below(sim, 4) } };
	return (int32_t)count;
}

/* ---- as a whole */

uint64_t sim_net_next(const struct kolk__sim *sim)
{
	struct kolk__timer *timer = kolk__heap_min(&sim->deliveries);
	uint64_t ring_ns = sim_ring_next(sim);

	return timer != NULL && timer->due_ns < ring_ns ? timer->due_ns : ring_ns;
}

void sim_net_close(struct kolk__sim *sim)
{
	struct kolk__timer *timer;

	while ((timer = kolk__heap_min(&sim->deliveries)) != NULL) {
		kolk__heap_remove(&sim->deliveries, timer);
		free(timer);
	}
}

void sim_net_table(struct kolk_sys *sys)
{
	sys->sock_open = sock_open;
	sys->sock_send = sim_sock_send;
	sys->sock_recv = sim_sock_recv;
	sys->sock_peek = sock_peek;
	sys->sock_wait = sock_wait;
	sys->sock_info = sock_info;
	sys->sock_acknowledge = sock_acknowledge;
	sys->sock_shutdown = sock_shutdown;
	sys->sock_close = sim_sock_close;
	sim_listen_table(sys);
}
