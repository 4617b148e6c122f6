/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - a server of HTTP, MCP, Redis and PostgreSQL, as far as one request of each goes. */
#define _GNU_SOURCE
#include "tests/sized/sized.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer_postgres(int fd, const char *data, ssize_t size)
{
	static const char login[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
	const char *tag;
	char text[64];
	uint32_t length;

	if (data[0] == 0) {
		(void)!write(fd, login, sizeof login - 1);
		return;
	}
	for (uint32_t at = 0; at + 5 < (size_t)size && data[at] == 'Q'; at += 1 + length) {
		memcpy(&length, data + at + 1, 4);
		length = ntohl(length);
		tag = data[at + 5] == 'b' ? "BEGIN" : data[at + 5] == 'c' ? "COMMIT" : "SELECT 0";
		text[0] = 'C';
		memcpy(text + 1, &(uint32_t){ htonl((uint32_t)strlen(tag) + 5) }, 4);
		strcpy(text + 5, tag);
		memcpy(text + 6 + strlen(tag), tag[0] == 'B' ? "Z\0\0\0\5T" : "Z\0\0\0\5I", 6);
		(void)!write(fd, text, 12 + strlen(tag));
	}
}

/* A notification, and the result. */
static void answer_mcp(int fd, const char *data, ssize_t size)
{
	static const char id[] = "\"id\":";
	const char *at = memmem(data, (size_t)size, id, sizeof id - 1);
	char body[256], text[512];

	if (at == NULL)
		return;
	at += sizeof id - 1;
	snprintf(body, sizeof body,
		 "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n"
		 "data: {\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{}}\n\n",
		 (int)strcspn(at, ",}"), at);
	snprintf(text, sizeof text,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	(void)!write(fd, text, strlen(text));
}

static void *serve(void *arg)
{
	static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = (int)(intptr_t)arg;
	char data[8192];
	ssize_t size;

	while ((size = read(fd, data, sizeof data)) > 0) {
		if (data[0] == 'G')
			(void)!write(fd, page, sizeof page - 1);
		else if (size > 4 && memcmp(data, "POST", 4) == 0)
			answer_mcp(fd, data, size);
		else if (data[0] == '*')
			for (ssize_t i = 0; i < size; i++)
				(void)!write(fd, "+PONG\r\n", data[i] == '*' ? 7 : 0);
		else
			answer_postgres(fd, data, size);
	}
	close(fd);
	return NULL;
}

static void *listener(void *arg)
{
	pthread_t thread;

	for (;;) {
		int fd = accept((int)(intptr_t)arg, NULL, NULL);

		if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

bool server_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		return false;
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
	return pthread_create(&thread, NULL, listener, (void *)(intptr_t)fd) == 0;
}
