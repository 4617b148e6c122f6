/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_load_client.c - a client's connection, and the steps that it takes over it. */
#define _GNU_SOURCE
#include "bench/gateway/mcp_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAILED_MAX = 1000 }; /* so many, and the run is of no use */

/* ---- what is said */

#define META "io.modelcontextprotocol/"

static const char initialize[] =
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
	"\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
	"\"clientInfo\":{\"name\":\"mcp-load\",\"version\":\"1\"}}}";
static const char initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{"
			   "\"name\":\"echo\",\"arguments\":{\"nonce\":\"0123456789\"}}}";
static const char modern_call[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
	"\"arguments\":{\"nonce\":\"0123456789\"},\"_meta\":{\"" META "protocolVersion\":"
	"\"2026-07-28\",\"" META "clientCapabilities\":{}}}}";
static const char listen_call[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{"
	"\"notifications\":{\"toolsListChanged\":true},\"_meta\":{\"" META "protocolVersion\":"
	"\"2026-07-28\",\"" META "clientCapabilities\":{}}}}";

void load_body(enum load_kind kind, enum load_step step, struct load_text *text)
{
	static const char *const bodies[LOAD_STEPS] = { initialize, initialized, call, "", "" };

	text->size = (size_t)snprintf(text->bytes, sizeof text->bytes, "%s",
				      kind == LOAD_MODERN ? modern_call :
				      kind == LOAD_LISTEN ? listen_call : bodies[step]);
}

/* The fields that name the session and the version, as the step has them. */
static void fields_write(const struct load_client *client, char to[512])
{
	if (client->load->kind == LOAD_MODERN)
		snprintf(to, 512, "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
				  "Mcp-Name: echo\r\n");
	else if (client->load->kind == LOAD_LISTEN)
		snprintf(to, 512, "MCP-Protocol-Version: 2026-07-28\r\n"
				  "Mcp-Method: subscriptions/listen\r\n");
	else if (client->step == LOAD_INITIALIZE)
		to[0] = '\0';
	else
		snprintf(to, 512, "MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: %s\r\n",
			 client->session);
}

static void request_write(const struct load_client *client, struct load_text *text)
{
	static const char *const verbs[LOAD_STEPS] = { "POST", "POST", "POST", "DELETE", "GET" };
	const bool has_body = client->step < LOAD_DELETE;
	char fields[512], length[80] = "";
	struct load_text body;

	load_body(client->load->kind, client->step, &body);
	fields_write(client, fields);
	if (has_body)
		snprintf(length, sizeof length,
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.size);
	text->size = (size_t)snprintf(text->bytes, sizeof text->bytes,
				      "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n%s%s\r\n%s",
				      verbs[client->step], client->load->path,
				      has_body ? "application/json, text/event-stream" :
						 "text/event-stream",
				      fields, length, body.bytes);
}

/* ---- a step */

/* What failed is counted; the client begins anew. */
static void fail(struct load_client *client)
{
	struct load *load = client->load;

	if (client->open)
		close(client->fd);
	client->open = client->busy = client->stays = false;
	if (++load->failed > FAILED_MAX || load->kind >= LOAD_IDLE) {
		client->answer[client->received] = '\0';
		fprintf(stderr, "mcp-load: %.300s\n", client->answer);
		load_die("too many steps failed");
	}
	if (!load->over)
		load_client_begin(client);
}

static void step_begin(struct load_client *client, enum load_step step)
{
	struct load_text text;

	client->step = step;
	client->busy = true;
	client->received = 0;
	request_write(client, &text);
	if (send(client->fd, text.bytes, text.size, MSG_NOSIGNAL) != (ssize_t)text.size)
		fail(client);
}

/* The next call of the figures, unless it is not its time yet. */
static void call_begin(struct load_client *client)
{
	struct load *load = client->load;

	client->busy = false;
	if (load->over || (load->rate > 0 && !client->due))
		return;
	client->began_ns = load->rate > 0 ? client->due_ns : clock_now();
	client->due = false;
	step_begin(client, load->kind == LOAD_SESSION ? LOAD_INITIALIZE : LOAD_CALL);
}

void load_client_due(struct load_client *client)
{
	if (client->due) /* the one before it has not begun: it stays the next */
		return;
	client->due = true;
	if (client->open && !client->busy)
		call_begin(client);
}

void load_client_end(struct load_client *client)
{
	if (client->open && !client->busy && client->session[0] != '\0')
		step_begin(client, LOAD_DELETE);
}

static void call_end(struct load_client *client)
{
	client->load->calls++;
	hist_add(&client->load->latency, clock_now() - client->began_ns);
	call_begin(client);
}

static bool is_good(const struct load_client *client, const struct load_answer *answer)
{
	if (client->step == LOAD_INITIALIZE ||
	    (client->step == LOAD_CALL && client->load->kind != LOAD_LISTEN))
		return answer->status == 200 && strstr(answer->body, "\"result\"") != NULL;
	return answer->status == 200 || answer->status == 202 || answer->status == 204;
}

static void stream_begun(struct load_client *client)
{
	client->stays = true;
	client->busy = false;
	client->load->streams++;
	client->received = 0;
}

static void step_end(struct load_client *client)
{
	const enum load_kind kind = client->load->kind;

	switch (client->step) {
	case LOAD_INITIALIZE:
		load_answer_field(client->answer, "Mcp-Session-Id", client->session,
				  sizeof client->session);
		step_begin(client, LOAD_INITIALIZED);
		break;
	case LOAD_INITIALIZED:
		if (kind == LOAD_SESSION)
			step_begin(client, LOAD_CALL);
		else if (kind == LOAD_IDLE)
			step_begin(client, LOAD_GET);
		else
			call_begin(client);
		break;
	case LOAD_CALL:
		if (kind == LOAD_SESSION)
			step_begin(client, LOAD_DELETE);
		else if (kind == LOAD_LISTEN)
			stream_begun(client);
		else
			call_end(client);
		break;
	case LOAD_DELETE:
		client->busy = false;
		if (kind == LOAD_SESSION)
			call_end(client);
		break;
	default:
		stream_begun(client);
	}
}

/* ---- its connection */

static bool connect_to(struct load_client *client)
{
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(client->load->port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	const int one = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		load_die("no descriptor for a client");
	client->open = true;
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return connect(client->fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
	       epoll_ctl(client->load->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

void load_client_begin(struct load_client *client)
{
	if (!connect_to(client))
		load_die("no connection");
	if (client->load->kind == LOAD_LEGACY || client->load->kind == LOAD_IDLE)
		step_begin(client, LOAD_INITIALIZE);
	else
		call_begin(client);
}

void load_client_read(struct load_client *client)
{
	struct load_answer answer;
	ssize_t size = recv(client->fd, client->answer + client->received,
			    LOAD_ANSWER - client->received, MSG_DONTWAIT);

	if (size < 0 && errno == EAGAIN)
		return;
	if (size <= 0 || (!client->busy && !client->stays)) {
		fail(client);
		return;
	}
	if (client->stays) {
		client->load->stream_bytes += (uint64_t)size;
		return;
	}
	client->received += (size_t)size;
	client->answer[client->received] = '\0';
	answer = load_answer_read(client->answer, client->received,
				  client->step == LOAD_GET || client->load->kind == LOAD_LISTEN);
	if (answer.size == 0 && client->received < LOAD_ANSWER)
		return;
	if (answer.size == 0 || !is_good(client, &answer))
		fail(client);
	else
		step_end(client);
}
