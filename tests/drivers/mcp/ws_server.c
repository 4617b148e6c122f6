/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/drivers/mcp/ws_server.h"

#include <arpa/inet.h>
#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

enum { PIECE = 100, BUFFER = 1 << 20 };

struct connection {
	struct ws_server *server;
	int fd, child;
	pid_t pid;
	uint8_t *in;   /* of the client */
	size_t in_size;
	char *out;     /* of the child */
	size_t out_size;
};

/* ---- frames */

static void put(const struct connection *c, const void *data, size_t size)
{
	(void)send(c->fd, data, size, MSG_NOSIGNAL);
}

static void put_frame(const struct connection *c, uint8_t first, const char *data, size_t size)
{
	uint8_t head[10] = { first, (uint8_t)(size < 126 ? size : size < 65536 ? 126 : 127) };
	size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;

	for (size_t i = 0; i < bytes; i++)
		head[2 + i] = (uint8_t)(size >> 8 * (bytes - 1 - i));
	put(c, head, 2 + bytes);
	put(c, data, size);
}

static void put_ping(const struct connection *c)
{
	put_frame(c, 0x89, "hey", 3);
	kolk__add_acq_rel(&c->server->pings_sent, 1);
}

static const char asked[] = "{\"jsonrpc\":\"2.0\",\"id\":\"asked\",\"method\":\"ping\"}";

static void put_message(const struct connection *c, const char *data, size_t size)
{
	struct ws_server *server = c->server;

	if (server->asks_first)
		put_frame(c, 0x81, asked, sizeof asked - 1);
	if (server->fault != NULL && memmem(data, size, "trigger", 7) != NULL) {
		put(c, server->fault, server->fault_size);
		if (server->fault_size == 0)
			shutdown(c->fd, SHUT_RDWR);
		return;
	}
	if (!server->fragments) {
		put_frame(c, 0x81, data, size);
	} else {
		for (size_t at = 0; at < size; at += PIECE) {
			size_t piece = size - at < PIECE ? size - at : PIECE;

			put_frame(c, (uint8_t)((at == 0) | (at + piece == size ? 0x80 : 0)), data + at,
				  piece);
			if (at + piece < size)
				put_ping(c);
		}
	}
	if (server->pings)
		put_ping(c);
	if (server->asks)
		put_frame(c, 0x81, asked, sizeof asked - 1);
}

/* A whole frame of the client; false: it was the last. */
static bool on_frame(const struct connection *c, uint8_t opcode, uint8_t *data, size_t size)
{
	struct ws_server *server = c->server;

	if (opcode == 8) {
		kolk__store_release(&server->code, size >= 2 ? (uint32_t)data[0] << 8 | data[1] : 1005u);
		kolk__add_acq_rel(&server->closes, 1);
		return false;
	}
	if (opcode == 9) {
		put_frame(c, 0x8a, (const char *)data, size);
		kolk__add_acq_rel(&server->pinged, 1);
	} else if (opcode == 10 && size == 3 && memcmp(data, "hey", 3) == 0) {
		kolk__add_acq_rel(&server->pongs, 1);
	} else if (opcode == 1 && memmem(data, size, "\"asked\",\"result\":{}", 19) != NULL) {
		kolk__add_acq_rel(&server->answered, 1);
	} else if (opcode == 1) {
		return write(c->child, data, size) == (ssize_t)size && write(c->child, "\n", 1) == 1;
	}
	return true;
}

/* The message is too long. */
static void refuse(const struct connection *c)
{
	put_frame(c, 0x88, "\x03\xf1", 2);
	while (recv(c->fd, c->in, 65536, 0) > 0)
		usleep(1000);
}

/* What has come of the client. */
static bool take_frames(struct connection *c)
{
	bool more = true;

	while (more && c->in_size >= 6) {
		size_t size = c->in[1] & 0x7f, head = 2, bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
		uint8_t *mask;

		if (c->in_size < head + bytes + 4)
			return true;
		for (size_t i = 0; i < bytes; i++)
			size = (i == 0 ? 0 : size << 8) | c->in[head + i];
		head += bytes + 4;
		if (c->server->hasty && bytes == 8) {
			refuse(c);
			return false;
		}
		if (c->in_size < head + size)
			return true;
		if ((c->in[1] & 0x80) == 0 || (c->in[0] & 0xf0) != 0x80)
			kolk__add_acq_rel(&c->server->unmasked, 1);
		mask = c->in + head - 4;
		for (size_t i = 0; i < size; i++)
			c->in[head + i] ^= mask[i % 4];
		more = on_frame(c, c->in[0] & 15, c->in + head, size);
		c->in_size -= head + size;
		memmove(c->in, c->in + head + size, c->in_size);
	}
	return more;
}

static bool take_lines(struct connection *c)
{
	char *end;

	while ((end = memchr(c->out, '\n', c->out_size)) != NULL) {
		size_t size = (size_t)(end - c->out);

		put_message(c, c->out, size);
		c->out_size -= size + 1;
		memmove(c->out, end + 1, c->out_size);
	}
	return true;
}

/* ---- connections */

static void child_start(struct connection *c)
{
	char program[300];
	ssize_t length = readlink("/proc/self/exe", program, 200);
	int pair[2];

	assert_true(length > 0);
	program[length] = '\0';
	strcpy(strrchr(program, '/'), "/kolk-mcp-fixture");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c->pid = fork();
	if (c->pid == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execl(program, program, "--stdio", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	c->child = pair[0];
}

static void accept_of(const char *head, char accept[29])
{
	const char *key = strcasestr(head, "\r\nsec-websocket-key: ");
	unsigned char text[61], hash[20];
	size_t size;

	assert_non_null(key);
	snprintf((char *)text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 21);
	mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), text, 60, hash);
	mbedtls_base64_encode((unsigned char *)accept, 29, &size, hash, sizeof hash);
}

static bool shake_hands(struct connection *c)
{
	static const char refusal[] = "HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n"
				      "WWW-Authenticate: Bearer realm=\"ws\"\r\n\r\n";
	char head[4096] = "", answer[512], accept[29];
	size_t size = 0;
	ssize_t got;

	while (strstr(head, "\r\n\r\n") == NULL) {
		got = recv(c->fd, head + size, sizeof head - 1 - size, 0);
		if (got <= 0)
			return false;
		size += (size_t)got;
		head[size] = '\0';
	}
	if (c->server->answer != NULL) {
		put(c, c->server->answer, strlen(c->server->answer));
		return false;
	}
	if (c->server->token != NULL && strstr(head, c->server->token) == NULL) {
		put(c, refusal, sizeof refusal - 1);
		return false;
	}
	accept_of(head, accept);
	size = (size_t)snprintf(answer, sizeof answer,
				"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
				"Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n%s\r\n", accept,
				c->server->fields != NULL ? c->server->fields :
							    "Sec-WebSocket-Protocol: mcp\r\n");
	if (c->server->asks_first)
		size += (size_t)snprintf(answer + size, sizeof answer - size, "\x81%c%s",
					 (int)sizeof asked - 1, asked);
	put(c, answer, size);
	return true;
}

/* Append what has come; false: the end. */
static bool receive(int fd, void *buffer, size_t *size)
{
	ssize_t got = read(fd, (char *)buffer + *size, BUFFER - *size);

	if (got <= 0)
		return false;
	*size += (size_t)got;
	return true;
}

static void *serve(void *user)
{
	struct connection *c = user;
	bool up = shake_hands(c);

	if (up) {
		kolk__add_acq_rel(&c->server->opened, 1);
		child_start(c);
	}
	while (up) {
		struct pollfd fds[] = { { .fd = c->fd, .events = POLLIN },
					{ .fd = c->child, .events = POLLIN } };

		poll(fds, 2, -1);
		if (fds[0].revents != 0)
			up = receive(c->fd, c->in, &c->in_size) && take_frames(c);
		if (up && fds[1].revents != 0)
			up = receive(c->child, c->out, &c->out_size) && take_lines(c);
	}
	if (c->pid != 0) {
		close(c->child);
		waitpid(c->pid, NULL, 0);
	}
	close(c->fd);
	kolk__sub_acq_rel(&c->server->open, 1);
	free(c->in);
	free(c->out);
	free(c);
	return NULL;
}

static void *listen_on(void *user)
{
	struct ws_server *server = user;
	pthread_t thread;
	int fd;

	while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct connection *c = calloc(1, sizeof *c);

		c->server = server;
		c->fd = fd;
		c->in = malloc(BUFFER);
		c->out = malloc(BUFFER);
		kolk__add_acq_rel(&server->open, 1);
		pthread_create(&thread, NULL, serve, c);
		pthread_detach(thread);
	}
	return NULL;
}

void ws_server_open(struct ws_server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server->fd, 100), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
	snprintf(server->address, sizeof server->address, "127.0.0.1:%u", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, listen_on, server), 0);
}

void ws_server_close(struct ws_server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < 5000 && kolk__load_acquire(&server->open) != 0; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&server->open), 0);
	close(server->fd);
}

/* ---- an upstream */

bool ws_place_open(struct place *place, struct ws_server *server,
		   struct kolk_mcp_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	memset(place, 0, sizeof *place);
	ws_server_open(server);
	engine.loops = 2;
	engine.backend = server->backend;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	engine.resources_max = 100;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	pool.name = "sockets";
	pool.address = server->address;
	pool.driver = kolk_driver_http();
	pool.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(place->engine, &pool, &place->connections), KOLK_OK);
	options->size = sizeof *options;
	options->transport = KOLK_MCP_WEBSOCKET;
	options->failure = &failure;
	err = kolk_mcp_open(place->connections, options, &place->mcp);
	place->loop = kolk_engine_loop(place->engine, 0);
	if (err == KOLK_OK)
		return true;
	assert_int_equal(err, KOLK_E_UNSUPPORTED);
	assert_string_equal(failure.field, "transport");
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
	ws_server_close(server);
	return false;
}

void ws_place_close(struct place *place, struct ws_server *server)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(place_stats(place).isolation_violations, 0);
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(60000)), KOLK_OK);
	assert_int_equal(kolk_check(place->engine, NULL), KOLK_OK);
	kolk_engine_drain(place->engine, kolk_in_ms(2000));
	assert_int_equal(kolk_engine_wait_closed(place->engine, kolk_in_ms(60000)), KOLK_OK);
	assert_int_equal(kolk_pool_stats(place->connections, &stats), KOLK_OK);
	assert_int_equal(stats.open, 0);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
	ws_server_close(server);
	assert_int_equal(kolk__load_acquire(&server->unmasked), 0);
}
