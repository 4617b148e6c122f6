/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/mcp/scripted.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"

struct connection {
	struct scripted *server;
	int fd;
};

/* As much as that. */
static int read_all(int fd, char *to, size_t size)
{
	while (size > 0) {
		ssize_t got = recv(fd, to, size, 0);

		if (got <= 0)
			return 0;
		to += got;
		size -= (size_t)got;
	}
	return 1;
}

static int read_head(int fd, char *head, size_t max)
{
	size_t size = 0;

	while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4) != 0)
		if (size + 1 == max || recv(fd, head + size++, 1, 0) != 1)
			return 0;
	head[size] = '\0';
	return 1;
}

static int read_request(int fd, struct scripted_request *request)
{
	const char *length, *id;
	size_t size = 0;

	memset(request, 0, sizeof *request);
	if (!read_head(fd, request->head, sizeof request->head))
		return 0;
	length = strstr(request->head, "\r\ncontent-length:"); /* as the library spells it */
	if (length != NULL)
		size = strtoul(length + 17, NULL, 10);
	if (size >= sizeof request->body || !read_all(fd, request->body, size))
		return 0;
	id = strstr(request->body, "\"id\":");
	request->id = id != NULL ? strtol(id + 5, NULL, 10) : 0;
	return 1;
}

static void *serve(void *user)
{
	struct connection *connection = user;
	struct scripted *server = connection->server;
	struct scripted_request *request = malloc(sizeof *request);

	while (read_request(connection->fd, request)) {
		kolk__add_acq_rel(&server->requests, 1);
		if (strstr(request->body, "\"tools/call\"") != NULL)
			kolk__add_acq_rel(&server->calls, 1);
		if (!server->answer(server, connection->fd, request))
			break;
	}
	shutdown(connection->fd, SHUT_RDWR);
	free(request);
	free(connection);
	return NULL;
}

static void *accept_all(void *user)
{
	struct scripted *server = user;
	int fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
		struct connection *connection = malloc(sizeof *connection);

		assert_true(server->count < SCRIPTED_CONNECTIONS);
		*connection = (struct connection){ server, fd };
		server->fds[server->count] = fd;
		pthread_create(&server->threads[server->count++], NULL, serve, connection);
	}
	return NULL;
}

void scripted_open(struct scripted *server)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;

	server->count = 0;
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&at, &size), 0);
	snprintf(server->address, sizeof server->address, "127.0.0.1:%d", ntohs(at.sin_port));
	pthread_create(&server->acceptor, NULL, accept_all, server);
}

void scripted_close(struct scripted *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->acceptor, NULL);
	close(server->listener);
	for (uint32_t i = 0; i < server->count; i++) {
		shutdown(server->fds[i], SHUT_RDWR);
		pthread_join(server->threads[i], NULL);
		close(server->fds[i]);
	}
}

void scripted_say(int fd, const char *format, ...)
{
	char text[4096];
	va_list list;
	int size;

	va_start(list, format);
	size = vsnprintf(text, sizeof text, format, list);
	va_end(list);
	(void)!send(fd, text, (size_t)size, MSG_NOSIGNAL);
}

void scripted_whole(int fd, const char *type, const char *body)
{
	scripted_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
		     strlen(body), body);
}

int scripted_begins(int fd, const struct scripted_request *request)
{
	char body[256];

	if (strstr(request->body, "\"initialize\"") != NULL) {
		snprintf(body, sizeof body,
			 "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{\"protocolVersion\":"
			 "\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{\"name\":\"s\","
			 "\"version\":\"0\"}}}", request->id);
		scripted_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				 "Mcp-Session-Id: s1\r\nContent-Length: %zu\r\n\r\n%s",
			     strlen(body), body);
		return 1;
	}
	if (request->id != 0 || strncmp(request->head, "GET ", 4) == 0)
		return 0;
	scripted_say(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"); /* DELETE, too */
	return 1;
}
