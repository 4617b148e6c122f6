/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_listen.c - the simulated network: sockets that listen, and peers that dial them. What a peer
 * says before it was accepted arrives all the same.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/sim/sim_world.h"

enum { FIRST_PORT = 20000, ACCEPTS_MAX = 8 };

/* The one with that number, from 0 on, at the port. */
static struct sim_socket *listener_at(const struct kolk__sim *sim, uint16_t port, uint64_t index)
{
	for (struct sim_socket *socket = sim->sockets; socket < sim->sockets + SIM_SOCKETS; socket++)
		if (socket->open && socket->listening && socket->port == port && index-- == 0)
			return socket;
	return NULL;
}

static uint64_t listeners_at(const struct kolk__sim *sim, uint16_t port)
{
	uint64_t count = 0;

	while (listener_at(sim, port, count) != NULL)
		count++;
	return count;
}

/* Listeners before it leave it nothing of what is dialled: sock_share. */
static bool is_left_out(const struct kolk__sim *sim, const struct sim_socket *listener)
{
	const struct sim_socket *other;
	uint32_t before = 0, share = UINT32_MAX;

	for (uint64_t i = 0; (other = listener_at(sim, listener->port, i)) != NULL; i++) {
		before += other->listen_number < listener->listen_number;
		share = other->share_count > 0 ? other->share_count : share;
	}
	return before >= share;
}

static uint64_t number_of(const struct kolk__sim *sim, const struct sim_socket *socket)
{
	return kolk__sim_peer(sim, sim_fd_of(sim, socket));
}

/* ---- peers */

uint64_t kolk__sim_dial(struct kolk__sim *sim, uint16_t port)
{
	uint64_t count = listeners_at(sim, port);
	struct sim_socket *listener, *socket;

	if (count == 0)
		return 0;
	do
		listener = listener_at(sim, port, kolk__sim_below(sim, count)); /* SO_REUSEPORT */
	while (is_left_out(sim, listener));
	socket = listener->waiting < SIM_BACKLOG ? sim_socket_free(sim) : NULL;
	if (socket == NULL)
		return 0;
	socket->open = socket->queued = socket->connected = socket->dialled = true;
	socket->port = port;
	listener->backlog[listener->waiting++] = (uint32_t)(socket - sim->sockets);
	sim_accepted(sim, socket); /* some end at once */
	sim_poke(sim, listener);
	return number_of(sim, socket);
}

bool kolk__sim_connected(const struct kolk__sim *sim, uint64_t peer)
{
	const struct sim_socket *socket = &sim->sockets[peer % SIM_SOCKETS];

	return socket->open && number_of(sim, socket) == peer;
}

void kolk__sim_diallers(struct kolk__sim *sim, kolk__sim_peer_fn *peer, void *user)
{
	sim->dialler = peer;
	sim->dialler_user = user;
}

uint32_t kolk__sim_queued(const struct kolk__sim *sim, uint16_t port)
{
	uint32_t queued = 0;

	for (uint64_t i = 0; i < listeners_at(sim, port); i++)
		queued += listener_at(sim, port, i)->waiting;
	return queued;
}

/* ---- accept */

static struct sim_socket *take_first(struct kolk__sim *sim, struct sim_socket *listener)
{
	struct sim_socket *socket = &sim->sockets[listener->backlog[0]];

	listener->waiting--;
	memmove(listener->backlog, listener->backlog + 1,
		listener->waiting * sizeof listener->backlog[0]);
	socket->queued = false;
	return socket;
}

/* sockaddr_in: the number of the peer as an address. */
static void name_write(struct kolk_address *name, uint32_t host, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(host) };

	*name = (struct kolk_address){ .size = sizeof v4, .family = AF_INET };
	memcpy(name->bytes, &v4, sizeof v4);
}

static void peer_name(const struct kolk__sim *sim, const struct sim_socket *socket,
		      struct kolk_address *name)
{
	uint64_t number = number_of(sim, socket);

	name_write(name, 0x0a000000u + (uint32_t)(number % 7), (uint16_t)(1024 + number % 60000));
}

int32_t sim_accept(struct kolk__sim *sim, struct kolk_op *op)
{
	struct sim_socket *listener = sim_socket_of(sim, op->fd);

	for (int i = 0; i < ACCEPTS_MAX && listener->waiting > 0 && !op->cancelled; i++) {
		struct kolk_address name;
		struct sim_socket *socket;

		if (sim_fault(sim, KOLK__SIM_EMFILE))
			return -EMFILE;
		if (sim_fault(sim, KOLK__SIM_ENOBUFS))
			return -ENOBUFS;
		socket = take_first(sim, listener);
		if (sim_fault(sim, KOLK__SIM_ABORTED)) {
			socket->open = false;
			continue;
		}
		sim->sockets_open++;
		peer_name(sim, socket, &name);
		op->result = sim_fd_of(sim, socket);
		op->data = &name;
		kolk__sim_record(sim, ((uint64_t)op->kind << 32) | (uint32_t)op->result);
		op->done(op);
		op->data = NULL;
	}
	return -EAGAIN;
}

/* ---- the table */

static uint16_t free_port(const struct kolk__sim *sim)
{
	uint16_t port = FIRST_PORT;

	while (listener_at(sim, port, 0) != NULL)
		port++;
	return port;
}

static int sock_listen(void *context, const struct kolk_sock_listen *options)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket;
	uint16_t port;

	if (options->address == NULL || options->address->family == AF_UNIX)
		return -EINVAL;
	if (sim_fault(sim, KOLK__SIM_EMFILE))
		return -EMFILE;
	port = (uint16_t)(options->address->bytes[2] << 8 | options->address->bytes[3]);
	if (port == 0)
		port = free_port(sim);
	if (options->share != 2 && listener_at(sim, port, 0) != NULL)
		return -EADDRINUSE;
	socket = sim_socket_free(sim);
	if (socket == NULL)
		return -EMFILE;
	socket->open = socket->listening = true;
	socket->port = port;
	socket->listen_number = ++sim->listen_numbers;
	sim->sockets_open++;
	return sim_fd_of(sim, socket);
}

/* Not of odd ports, so that both kinds of kernel are there. */
static int sock_share(void *context, int fd, uint32_t count)
{
	struct sim_socket *listener = sim_socket_of(context, fd);

	if (listener->port % 2 != 0)
		return -EOPNOTSUPP;
	listener->share_count = count;
	return 0;
}

void sim_unlisten(struct kolk__sim *sim, struct sim_socket *listener)
{
	while (listener->waiting > 0)
		take_first(sim, listener)->open = false;
}

static void sock_unlink(void *context, const struct kolk_address *address, const uint64_t file[2])
{
	(void)context;
	(void)file;
	(void)address;
}

static int sock_name(void *context, int fd, bool peer, struct kolk_address *name)
{
	struct kolk__sim *sim = context;
	struct sim_socket *socket = sim_socket_of(sim, fd);

	if (peer)
		peer_name(sim, socket, name);
	else
		name_write(name, INADDR_LOOPBACK, socket->port);
	return 0;
}

static int sock_credentials(void *context, int fd, uint32_t ids[3])
{
	(void)sim_socket_of(context, fd);
	(void)ids;
	return -EOPNOTSUPP;
}

static int64_t sock_unsent(void *context, int fd)
{
	(void)sim_socket_of(context, fd);
	return 0;
}

static void sock_end(void *context, int fd)
{
	(void)sim_socket_of(context, fd);
}

void sim_listen_table(struct kolk_sys *sys)
{
	sys->sock_listen = sock_listen;
	sys->sock_unlink = sock_unlink;
	sys->sock_unlisten = sim_sock_close;
	sys->sock_share = sock_share;
	sys->sock_name = sock_name;
	sys->sock_credentials = sock_credentials;
	sys->sock_unsent = sock_unsent;
	sys->sock_end = sock_end;
	sys->sock_reset = sim_sock_close;
}
