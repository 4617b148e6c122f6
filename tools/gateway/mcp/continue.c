/* SPDX-License-Identifier: Apache-2.0 */
/* continue.c - a client goes on with a suspended call: which one its state says, what it answers. */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/dialog.h"

static const char prefix[] = GW_MCP_STATE_PREFIX;

static struct kolk_mcp_part part_of(const struct gw_pipe *pipe)
{
	return (struct kolk_mcp_part){ pipe->size > 0 ? pipe->data + pipe->begin : NULL, pipe->size };
}

void gw_mcp_dialog_route(struct gw_mcp_call *call)
{
	struct kolk_mcp_part state = gw_json_member_of(call->message->params, "requestState");
	struct gw_mcp_place place = { .use = GW_MCP_USE_STATE, .route = call->route,
				      .tenant = call->tenant, .principal = call->principal };
	struct gateway *gateway = call->front->gateway;
	char id[GW_MCP_ID_SIZE];

	if (state.size < sizeof prefix + 1 || state.data[0] != '"' ||
	    memcmp(state.data + 1, prefix, sizeof prefix - 1) != 0)
		return;
	call->continues = true;
	if (state.size != sizeof prefix - 1 + sizeof id - 1 + 2)
		return;
	memcpy(id, state.data + sizeof prefix, sizeof id - 1);
	id[sizeof id - 1] = '\0';
	if (!gw_mcp_id_open(&call->front->mcp->ids, id, &place) || place.loop >= gateway->loop_count)
		return;
	call->home = &gateway->loops[place.loop];
	call->slot = place.slot;
	call->generation = place.generation;
}

static void refuse(struct gw_mcp_call *call, const char *error)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_SERVER;
	result.status = 400;
	result.error = error;
	result.error_size = strlen(error);
	gw_mcp_call_end(call, &result);
}

/* Is it a request of the one that asked? */
static bool is_its_own(const struct gw_mcp_dialog *dialog, const struct gw_mcp_call *call)
{
	const struct kolk_mcp_part name = part_of(&dialog->name), other = call->message->name;

	return dialog->pool == call->pool && dialog->route == call->route &&
	       strcmp(dialog->tenant, call->tenant) == 0 &&
	       memcmp(dialog->principal, call->principal, sizeof call->principal) == 0 &&
	       strcmp(dialog->method, call->message->method) == 0 && name.size == other.size &&
	       (name.size == 0 || memcmp(name.data, other.data, name.size) == 0);
}

/* What the client answers goes to the server; what it left out is asked again. */
static void reply_all(struct gw_mcp_dialog *dialog)
{
	const struct gw_mcp_call *call = dialog->call;
	struct kolk_mcp_part answers = gw_json_member_of(call->message->params, "inputResponses");
	struct gw_mcp_asked **at = &dialog->asked, *asked;
	char key[16];

	while ((asked = *at) != NULL) {
		struct kolk_mcp_result answer = KOLK_INIT(kolk_mcp_result);
		struct kolk_mcp_part said;

		snprintf(key, sizeof key, "%u", asked->key);
		said = gw_json_member_of(answers, key);
		answer.result = said.data;
		answer.result_size = said.size;
		if (said.size == 0 || said.data[0] != '{' ||
		    kolk_mcp_reply(call->back, part_of(&asked->id).data, asked->id.size, &answer) !=
			    KOLK_OK) {
			at = &asked->next;
			continue;
		}
		*at = asked->next;
		dialog->asked_count--;
		gw_mcp_asked_free(asked);
	}
	if (dialog->asked != NULL)
		gw_mcp_dialog_ask_soon(dialog);
}

void gw_mcp_dialog_continue(struct gw_mcp_call *call)
{
	struct gw_mcp_dialog *dialog = gw_mcp_dialog_find(call);
	struct kolk_mcp_result ended;

	if (dialog == NULL || !is_its_own(dialog, call)) {
		refuse(call, "{\"code\":-32602,\"message\":\"requestState is unknown, or was used, or "
			     "has expired\"}");
		return;
	}
	gw_mcp_dialog_attach(dialog, call);
	if (call->own != NULL)
		(void)gw_mcp_client_show(call, call->own);
	if (call->back != NULL) {
		reply_all(dialog);
		return;
	}
	ended = dialog->ended;
	ended.result = part_of(&dialog->ended_result).data;
	ended.error = part_of(&dialog->ended_error).data;
	call->dialog = NULL;
	gw_mcp_call_end(call, &ended);
	gw_mcp_dialog_free(dialog);
}
