/* SPDX-License-Identifier: Apache-2.0 */
/* resume.c - the last events of a session, which a GET with Last-Event-ID asks for again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/inside.h"

void mcp_log(struct mcp_stream *stream, const char *text, char id[32])
{
	struct mcp_session *session = stream->session;
	struct mcp_event *event;

	if (session->log == NULL)
		session->log = calloc(MCP_LOG, sizeof *session->log);
	event = &session->log[session->logged++ % MCP_LOG];
	free(event->text);
	*event = (struct mcp_event){ stream->number, stream->events++, strdup(text) };
	snprintf(id, 32, "%" PRIu32 "-%" PRIu32, event->stream, event->number);
}

static struct mcp_stream *stream_find(struct mcp_session *session, uint32_t number)
{
	struct mcp_stream *stream = session->streams;

	while (stream != NULL && stream->number != number)
		stream = stream->next;
	return stream;
}

/* The stream as it is, if it has not ended; otherwise one that ends with what is sent again. */
static struct mcp_stream *stream_for(struct mcp_exchange *exchange, struct mcp_session *session,
				     uint32_t number)
{
	struct mcp_stream *stream = stream_find(session, number);

	if (stream != NULL && stream->exchange != NULL) { /* its connection is dead and not known to be */
		kolk_http_server_cancel(stream->exchange->http);
		mcp_stream_detach(stream);
	} else if (stream == NULL) {
		stream = mcp_stream_new(exchange->fixture, session);
		stream->number = number;
		stream->ends = true;
	}
	stream->kind = MCP_SSE;
	mcp_stream_attach(stream, exchange);
	return stream;
}

void mcp_resume(struct mcp_exchange *exchange, struct mcp_session *session, const char *last)
{
	uint32_t number = 0, seen = 0;
	struct mcp_stream *stream;
	char id[32];

	mcp_count(exchange->fixture, MCP_N_resumes, 1);
	if (session->log == NULL || sscanf(last, "%" SCNu32 "-%" SCNu32, &number, &seen) != 2 ||
	    number >= session->next_stream) {
		mcp_refuse(exchange, 400, MCP_REFUSED, "Bad Request: no such event");
		return;
	}
	stream = stream_for(exchange, session, number);
	mcp_show(exchange, stream, "text/event-stream");
	for (uint64_t i = session->logged > MCP_LOG ? session->logged - MCP_LOG : 0;
	     i < session->logged; i++) {
		const struct mcp_event *event = &session->log[i % MCP_LOG];

		if (event->stream != number || event->number <= seen || event->text[0] == '\0')
			continue;
		snprintf(id, sizeof id, "%" PRIu32 "-%" PRIu32, number, event->number);
		mcp_stream_event(stream, id, event->text);
		mcp_count(exchange->fixture, MCP_N_replayed, 1);
	}
}
