/* SPDX-License-Identifier: Apache-2.0 */
/* admin_clients.c - clients of the admin server until the head of their request is complete. */
#include "tools/ops/admin_clients.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/ops/head.h"

enum { EVENTS = 16, READS_MAX = 16 };

static void client_remove(struct kolk_admin *admin, struct client *client)
{
	client->fd = -1;
	admin->client_count--;
}

static void client_close(struct kolk_admin *admin, struct client *client)
{
	close(client->fd);
	client_remove(admin, client);
}

static struct client *client_find(struct kolk_admin *admin, int fd)
{
	for (uint32_t i = 0; i < admin->clients_max; i++)
		if (admin->clients[i].fd == fd)
			return &admin->clients[i];
	return NULL;
}

void kolk__client_add(struct kolk_admin *admin, int fd)
{
	struct client *client = client_find(admin, -1);
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
				     .data.ptr = client };

	if (client == NULL || epoll_ctl(admin->heads, EPOLL_CTL_ADD, fd, &event) != 0) {
		close(fd);
		return;
	}
	*client = (struct client){ .fd = fd, .began_ns = kolk_engine_now(admin->server.engine) };
	admin->client_count++;
}

void kolk__client_notify(void *user, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct kolk_admin *admin = user;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*context = client_find(admin, MHD_get_connection_info(
			connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
	else if (*context != NULL)
		client_remove(admin, *context);
}

void kolk__clients_close_slow(struct kolk_admin *admin)
{
	uint64_t now_ns = kolk_engine_now(admin->server.engine);

	for (uint32_t i = 0; i < admin->clients_max; i++) {
		struct client *client = &admin->clients[i];

		if (client->fd < 0 || client->shut_down ||
		    now_ns - client->began_ns < admin->request_timeout_ns)
			continue;
		(void)shutdown(client->fd, SHUT_RDWR);
		client->shut_down = true;
		if (client->state != SERVED)
			client_close(admin, client);
	}
}

/* ---- heads */

static void discard(struct kolk_admin *admin, struct client *client)
{
	char bytes[4096];
	ssize_t got = 1;

	for (int i = 0; i < READS_MAX && got > 0; i++)
		got = recv(client->fd, bytes, sizeof bytes, 0);
	if (got >= 0 || (errno != EAGAIN && errno != EINTR))
		client_close(admin, client);
}

/* Not by the library: it would interpret such a head in its own way. */
static void refuse_head(struct kolk_admin *admin, struct client *client)
{
	static const char answer[] =
		"HTTP/1.1 400 Bad Request\r\n"
		"Content-Type: application/json; charset=utf-8\r\n"
		"Cache-Control: no-store\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"Connection: close\r\n"
		"\r\n"
		"{\"error\":{\"code\":\"bad_request\",\"message\":\"the request's head can be read "
		"in more than one way, or is too long\"}}";

	client->state = REFUSED;
	(void)!send(client->fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
	(void)shutdown(client->fd, SHUT_WR);
	discard(admin, client);
}

/* The socket is the library's, whatever becomes of it. */
static void pass_to_library(struct kolk_admin *admin, struct client *client)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t size = sizeof address;
	int fd = client->fd;

	(void)getpeername(fd, (struct sockaddr *)&address, &size);
	(void)epoll_ctl(admin->heads, EPOLL_CTL_DEL, fd, NULL);
	client->state = SERVED;
	if (MHD_add_connection(admin->daemon, fd, (struct sockaddr *)&address, size) != MHD_YES &&
	    client->fd == fd)
		client_remove(admin, client);
}

static void read_head(struct kolk_admin *admin, struct client *client, bool ended)
{
	char head[KOLK__HEAD_MAX];
	ssize_t size = recv(client->fd, head, sizeof head, MSG_PEEK);
	enum kolk__head found = kolk__head_check(head, size > 0 ? (size_t)size : 0);

	explicit_bzero(head, size > 0 ? (size_t)size : 0); /* a token may be in it */
	if (found == KOLK__HEAD_GOOD)
		pass_to_library(admin, client);
	else if (found == KOLK__HEAD_DOUBTFUL)
		refuse_head(admin, client);
	else if (ended)
		client_close(admin, client);
}

void kolk__clients_read_heads(struct kolk_admin *admin)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(admin->heads, events, EVENTS, 0);

	for (int i = 0; i < count; i++) {
		struct client *client = events[i].data.ptr;

		if (client->state == REFUSED)
			discard(admin, client);
		else
			read_head(admin, client, (events[i].events & ~(uint32_t)EPOLLIN) != 0);
	}
}
