/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - the tokens that requests show, and what the server says when it refuses one. */
#define _GNU_SOURCE /* explicit_bzero */
#include <stdlib.h>

#include "core/base/ascii.h"
#include "transport/drivers/mcp/inside.h"

static const char bearer[] = "Bearer ";

static void token_free(char *token)
{
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
}

void kolk__mcp_tokens_free(struct mcp_identity *identity)
{
	token_free(identity->token);
	free(identity->challenge);
}

/* ---- set */

static bool is_sendable(const char *token)
{
	while (*token > ' ' && *token < 0x7f)
		token++;
	return *token == '\0';
}

enum kolk_err kolk_mcp_client_set_token(struct kolk_mcp_client *client, const char *token)
{
	struct mcp_identity *identity = client->identity;
	struct kolk_mcp *mcp = identity->mcp;
	char *copy = NULL, *before;

	if (mcp->options.credentials != NULL || (token != NULL && !is_sendable(token)))
		return KOLK_E_OPTIONS;
	if (token != NULL && (copy = strdup(token)) == NULL)
		return KOLK_E_MEMORY;
	(void)pthread_mutex_lock(&mcp->lock);
	before = identity->token;
	identity->token = copy;
	/* relaxed: read under the lock; the loop that sets it is the one that sends next */
	kolk__store_relaxed(&identity->has_token, copy != NULL);
	(void)pthread_mutex_unlock(&mcp->lock);
	token_free(before);
	return KOLK_OK;
}

/* ---- shown */

static enum kolk_err compose(const void *token, size_t size, char **value)
{
	if (memchr(token, '\0', size) != NULL)
		return KOLK_E_OPTIONS;
	*value = calloc(1, sizeof bearer + size);
	if (*value == NULL)
		return KOLK_E_MEMORY;
	memcpy(*value, bearer, sizeof bearer - 1);
	memcpy(*value + sizeof bearer - 1, token, size);
	return KOLK_OK;
}

static enum kolk_err of_identity(struct mcp_identity *identity, char **value)
{
	struct kolk_mcp *mcp = identity->mcp;
	enum kolk_err err = KOLK_OK;

	(void)pthread_mutex_lock(&mcp->lock);
	if (identity->token != NULL)
		err = compose(identity->token, strlen(identity->token), value);
	(void)pthread_mutex_unlock(&mcp->lock);
	return err;
}

static enum kolk_err of_callback(const struct mcp_identity *identity, char **value)
{
	const struct kolk_mcp_options *options = &identity->mcp->options;
	struct kolk_credentials credentials = { NULL, NULL, 0 };
	enum kolk_err err;

	err = options->credentials(identity->credentials_user, identity->key, &credentials);
	if (err != KOLK_OK || credentials.secret == NULL)
		return err;
	return compose(credentials.secret, credentials.secret_size, value);
}

enum kolk_err kolk__mcp_authorization(const struct mcp_post_options *options, char **value)
{
	struct mcp_identity *identity = options->identity;

	*value = NULL;
	if (identity->mcp->options.credentials != NULL)
		return of_callback(identity, value);
	for (uint32_t i = 0; i < options->field_count; i++)
		if (kolk__word_equal(options->fields[i].name, "authorization"))
			return KOLK_OK; /* it goes with the other fields */
	return kolk__load_relaxed(&identity->has_token) ? of_identity(identity, value) : KOLK_OK;
}

/* FNV-1a: whether two are the same, and no copy is kept. Never 0. */
uint64_t kolk__mcp_token_hash(const char *value)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	while (*value != '\0')
		hash = (hash ^ (uint8_t)*value++) * UINT64_C(0x100000001b3);
	return hash | 1;
}

bool kolk__mcp_token_renewed(const struct mcp_post *post, struct mcp_identity *identity)
{
	char *value = NULL;
	bool renewed;

	if (post->status != 401 || identity->mcp->options.credentials == NULL)
		return false;
	renewed = of_callback(identity, &value) == KOLK_OK && value != NULL &&
		  kolk__mcp_token_hash(value) != post->token_hash;
	token_free(value);
	return renewed;
}

/* ---- refused */

char *kolk__mcp_challenge(const struct kolk_http_head *head)
{
	char *joined = NULL, *longer;
	size_t size = 0;

	for (uint32_t i = 0; i < head->field_count; i++) {
		const char *value = head->fields[i].value;
		size_t more = strlen(value);

		if (!kolk__word_equal(head->fields[i].name, "www-authenticate"))
			continue;
		longer = realloc(joined, size + more + 3);
		if (longer == NULL)
			break;
		joined = longer;
		if (size > 0)
			size = (size_t)(stpcpy(joined + size, ", ") - joined);
		memcpy(joined + size, value, more + 1);
		size += more;
	}
	return joined;
}

void kolk__mcp_refused(struct mcp_identity *identity, const struct mcp_post *post)
{
	struct kolk_mcp *mcp = identity->mcp;
	char *challenge = post->challenge != NULL ? strdup(post->challenge) : NULL, *before;

	(void)pthread_mutex_lock(&mcp->lock);
	before = identity->challenge;
	identity->challenge = challenge;
	identity->refused = post->status;
	(void)pthread_mutex_unlock(&mcp->lock);
	free(before);
}

void kolk__mcp_refusal(struct kolk_mcp_call *call, struct kolk_mcp_result *result)
{
	struct mcp_identity *identity = call->client->identity;
	struct kolk_mcp *mcp = identity->mcp;

	(void)pthread_mutex_lock(&mcp->lock);
	if (result->status == 0)
		result->status = identity->refused;
	if (identity->challenge != NULL && call->challenge == NULL &&
	    result->status == identity->refused)
		call->challenge = strdup(identity->challenge);
	(void)pthread_mutex_unlock(&mcp->lock);
	result->challenge = call->challenge;
}
