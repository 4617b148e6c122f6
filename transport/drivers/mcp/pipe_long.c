/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe_long.c - a message that is too long to be kept: it is read for whose it is, in pieces, and
 * dropped. Several calls share a pipe, and the id may stand behind the result: what ends is the
 * call that it answers, and the others go on.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/envelope.h"
#include "transport/drivers/mcp/inside.h"

struct mcp_dropped {
	struct kolk__mcp_envelope envelope;
	enum kolk_err err;             /* of the reading: nothing more is read */
	char kept[KOLK__MCP_TEXT_MAX]; /* the envelope's */
};

static void end_one(struct mcp_pipe *pipe, const struct kolk__mcp_message *found)
{
	static const char error[] =
		",\"error\":{\"code\":-32600,\"message\":\"The message is too long\"}}";
	const struct kolk__mcp_field *id = &found->fields[MCP_ID];
	struct mcp_message message = { .too_long = true };

	if (!kolk__mcp_has_token(found, MCP_ID))
		return; /* a notification */
	message.id = (struct mcp_text){ id->text, id->text_size };
	if (found->kind == MCP_REQUEST) /* the server waits for its answer */
		kolk__mcp_note_answer(pipe->loop, pipe, message.id, error);
	else
		kolk__mcp_pipe_message(pipe, &message);
}

/* last_id: of the last call that can have been sent. Those that begin when others end are not
 * meant. */
static void end_all(struct mcp_pipe *pipe, uint64_t last_id)
{
	struct mcp_link *at = pipe->calls.next;

	while (at != &pipe->calls) {
		struct kolk_mcp_call *call = mcp_container_of(at, struct kolk_mcp_call, link);

		at = at->next;
		if (call->listen || call->id > last_id)
			continue;
		kolk__mcp_pipe_remove(call);
		kolk__mcp_call_broken(call, KOLK_E_LIMIT);
		at = pipe->calls.next; /* it may have cancelled any */
	}
}

/* It breaks off, or two readers could read it in two ways. If it does not say whose answer it is,
 * it may be that of any call, which would not hear of it before its deadline. */
static void end_unclear(struct mcp_pipe *pipe, const struct kolk__mcp_envelope *envelope)
{
	const uint32_t answers = UINT32_C(1) << MCP_RESULT | UINT32_C(1) << MCP_ERROR;

	if ((envelope->seen >> MCP_METHOD & 1) != 0)
		return;
	if ((envelope->seen & answers) != 0 && kolk__mcp_has_token(&envelope->message, MCP_ID))
		end_one(pipe, &envelope->message);
	else
		end_all(pipe, kolk__mcp_next_id(pipe->loop));
}

/* Of an array each message that is whole now. */
static void read_on(struct mcp_pipe *pipe, const char *data, size_t size)
{
	struct mcp_dropped *dropped = pipe->dropped;
	struct kolk__mcp_envelope *envelope = &dropped->envelope;
	const uint8_t *at = (const uint8_t *)data;
	enum kolk__mcp_event event = MCP_MESSAGE;

	while (dropped->err == KOLK_OK && event == MCP_MESSAGE) {
		dropped->err = kolk__mcp_envelope_scan(envelope, &at, &size, &event);
		if (dropped->err != KOLK_OK || event != MCP_MESSAGE)
			break;
		if (envelope->message.kind != MCP_INVALID) {
			end_one(pipe, &envelope->message);
			continue;
		}
		dropped->err = KOLK_E_PROTOCOL;
		if (envelope->json.depth == 0) /* else drop_end sees it */
			end_unclear(pipe, envelope);
	}
}

static struct mcp_dropped *dropped_make(void)
{
	struct mcp_dropped *dropped = calloc(1, sizeof *dropped);
	struct kolk__mcp_limits limits = { .bytes_max = UINT64_MAX,
					   .batch_max = MCP_PIPE_BATCH_MAX,
					   .text_size = KOLK__MCP_TEXT_MAX };

	if (dropped == NULL)
		return NULL;
	limits.text = dropped->kept;
	kolk__mcp_envelope_begin(&dropped->envelope, &limits);
	return dropped;
}

enum kolk_err kolk__mcp_pipe_drop(struct mcp_pipe *pipe, const char *data, size_t size)
{
	if (pipe->dropped == NULL) {
		pipe->dropped = dropped_make();
		if (pipe->dropped == NULL)
			return KOLK_E_MEMORY;
		read_on(pipe, pipe->line, pipe->size);
	}
	read_on(pipe, data, size);
	return KOLK_OK;
}

enum kolk_err kolk__mcp_pipe_drop_end(struct mcp_pipe *pipe)
{
	struct mcp_dropped *dropped = pipe->dropped;
	enum kolk_err err = dropped->err;

	if (err == KOLK_OK)
		err = kolk__mcp_envelope_end(&dropped->envelope);
	/* What does not begin as a message, as a program's output, is no call's. */
	if (err != KOLK_OK && dropped->envelope.json.depth > 0)
		end_unclear(pipe, &dropped->envelope);
	pipe->dropped = NULL;
	free(dropped);
	return err;
}
