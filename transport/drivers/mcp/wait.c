/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - calls for threads that block: posted to the client's loop, where they are made. */
#include <semaphore.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct wait {
	struct kolk_call post;
	struct kolk_mcp_client *client;
	const struct kolk_mcp_request *request;
	struct kolk_mcp_result result;
	sem_t done;
};

/* A copy of result, error and challenge, one behind the other. */
static void copy_texts(struct kolk_mcp_result *result)
{
	size_t challenge_size = result->challenge != NULL ? strlen(result->challenge) + 1 : 0;
	char *memory;

	if (result->result == NULL && result->error == NULL && result->challenge == NULL)
		return;
	memory = malloc(result->result_size + result->error_size + 2 + challenge_size);
	if (memory == NULL) {
		result->err = KOLK_E_MEMORY;
		result->result = result->error = NULL;
		result->challenge = NULL;
		result->result_size = result->error_size = 0;
		return;
	}
	result->memory = memory;
	if (result->result != NULL)
		result->result = memcpy(memory, result->result, result->result_size);
	memory[result->result_size] = '\0';
	memory += result->result_size + 1;
	if (result->error != NULL)
		result->error = memcpy(memory, result->error, result->error_size);
	memory[result->error_size] = '\0';
	memory += result->error_size + 1;
	if (result->challenge != NULL)
		result->challenge = memcpy(memory, result->challenge, challenge_size);
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct wait *wait = user;

	(void)call;
	wait->result = *result;
	copy_texts(&wait->result);
	(void)sem_post(&wait->done);
}

static void start(struct kolk_call *post, void *user)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct wait *wait = user;
	enum kolk_err err;

	(void)post;
	err = kolk_mcp_start(wait->client, wait->request, &handler, wait, NULL);
	if (err == KOLK_PENDING)
		return;
	wait->result.err = err;
	(void)sem_post(&wait->done);
}

/* A result that has no memory could not be freed. */
static bool can_free(const struct kolk_mcp_result *result)
{
	return kolk__sized_size(result) >=
	       offsetof(struct kolk_mcp_result, memory) + sizeof result->memory;
}

enum kolk_err kolk_mcp_call(struct kolk_mcp_client *client, const struct kolk_mcp_request *request,
			    struct kolk_mcp_result *result)
{
	struct wait wait = { .client = client, .request = request,
			     .result = KOLK_INIT(kolk_mcp_result) };
	enum kolk_err err;

	if (!can_free(result))
		return KOLK_E_OPTIONS;
	if (kolk_loop_current() != NULL)
		return KOLK_E_THREAD;
	if (sem_init(&wait.done, 0, 0) != 0)
		return KOLK_E_IO;
	err = kolk_loop_call(client->loop->loop, &wait.post, start, &wait);
	while (err == KOLK_OK && sem_wait(&wait.done) != 0)
		; /* a signal */
	(void)sem_destroy(&wait.done);
	if (err != KOLK_OK)
		wait.result.err = err;
	(void)kolk__sized_write(result, &wait.result);
	return wait.result.err;
}

void kolk_mcp_result_free(struct kolk_mcp_result *result)
{
	const struct kolk_mcp_result empty = KOLK_INIT(kolk_mcp_result);
	void *memory = can_free(result) ? result->memory : NULL;

	if (memory == NULL)
		return;
	free(memory);
	(void)kolk__sized_write(result, &empty);
}
