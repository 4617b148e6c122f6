/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - a key of the pool of sessions, and what its sessions are made with.
 *
 * The key's credential is what the server is told of the client (version, capabilities,
 * client_info), the number of a client that shares with no other, and the caller's credential: so
 * what differs in any of them never meets. The key is open while a client has the identity; then it
 * lives as long as its sessions, which have references.
 *
 * A dial may begin when the client that wanted it is gone. What it makes is another client's, so
 * an identity without references stays a while: the last MCP_UNUSED_MAX of them do.
 */
#include <stdio.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

static struct mcp_identity *identity_of_node(const struct kolk__hash_node *node)
{
	return mcp_container_of((struct kolk__hash_node *)(uintptr_t)node, struct mcp_identity, node);
}

static bool has_key(const struct kolk__hash_node *node, const void *key)
{
	return identity_of_node(node)->key == key;
}

/* All of these under the lock. */

static struct mcp_identity *find(struct kolk_mcp *mcp, const struct kolk_key *key)
{
	const struct kolk__hash_node *node =
		kolk__hash_find(&mcp->identities, kolk__table_hash((uintptr_t)key), has_key, key);

	return node != NULL ? identity_of_node(node) : NULL;
}

static void ref(struct mcp_identity *identity)
{
	if (identity->refs++ != 0)
		return;
	mcp_list_del(&identity->unused);
	identity->mcp->unused_count--;
}

static void forget(struct mcp_identity *identity)
{
	kolk__hash_remove(&identity->mcp->identities, &identity->node);
	mcp_list_del(&identity->unused);
	identity->mcp->unused_count--;
	kolk__mcp_tokens_free(identity);
	kolk__mcp_unshare(identity->params);
	free(identity);
}

static void forget_oldest(struct kolk_mcp *mcp)
{
	forget(mcp_container_of(mcp->unused.next, struct mcp_identity, unused));
}

static void unref(struct mcp_identity *identity)
{
	struct kolk_mcp *mcp = identity->mcp;

	if (--identity->refs != 0)
		return;
	mcp_list_add(&mcp->unused, &identity->unused);
	if (++mcp->unused_count > MCP_UNUSED_MAX)
		forget_oldest(mcp);
}

/* With the lock. */

struct mcp_identity *kolk__mcp_identity_of(struct kolk_mcp *mcp, const struct kolk_key *key)
{
	struct mcp_identity *identity;

	(void)pthread_mutex_lock(&mcp->lock);
	identity = find(mcp, key);
	if (identity != NULL)
		ref(identity);
	(void)pthread_mutex_unlock(&mcp->lock);
	return identity;
}

void kolk__mcp_identity_unref(struct mcp_identity *identity)
{
	struct kolk_mcp *mcp = identity->mcp;

	(void)pthread_mutex_lock(&mcp->lock);
	unref(identity);
	(void)pthread_mutex_unlock(&mcp->lock);
}

/* Its key outlives this: the handle goes last. */
void kolk__mcp_identity_close(struct mcp_identity *identity)
{
	struct kolk_mcp *mcp = identity->mcp;
	struct kolk_key *key = identity->key;
	bool last;

	(void)pthread_mutex_lock(&mcp->lock);
	last = --identity->clients == 0;
	unref(identity);
	(void)pthread_mutex_unlock(&mcp->lock);
	if (last)
		kolk_key_close(key);
}

void kolk__mcp_identities_free(struct kolk_mcp *mcp)
{
	while (!mcp_list_empty(&mcp->unused))
		forget_oldest(mcp);
	kolk__table_free(&mcp->identities);
}

/* ---- open */

/* What a client tells of itself, complete. */
struct profile {
	const char *version, *capabilities, *client_info;
	void *credentials_user;
	char *params; /* of initialize, malloc'd */
	size_t params_size;
};

static bool is_object(const char *json)
{
	return kolk__mcp_is_object(json, strlen(json));
}

static enum kolk_err profile_of(const struct kolk_mcp *mcp,
				const struct kolk_mcp_client_options *options,
				struct profile *profile)
{
	bool multiplexed = mcp->options.sharing == KOLK_MCP_MULTIPLEXED &&
			   !mcp_shares_children(mcp);

	profile->version = options->protocol_version != NULL ? options->protocol_version :
							       mcp->options.protocol_version;
	profile->capabilities = multiplexed                     ? "{}" :
				options->capabilities != NULL ? options->capabilities :
								mcp->options.capabilities;
	profile->client_info = options->client_info != NULL ? options->client_info :
							      mcp->client_info;
	profile->credentials_user = options->credentials_user != NULL ?
					    options->credentials_user : mcp->options.credentials_user;
	if (multiplexed && options->capabilities != NULL)
		return KOLK_E_OPTIONS;
	return kolk__mcp_version_known(mcp_text_of(profile->version)) &&
			       is_object(profile->capabilities) &&
			       is_object(profile->client_info) ?
		       KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err set_params(struct profile *profile)
{
	static const char format[] = "{\"protocolVersion\":\"%s\",\"capabilities\":%s,"
				     "\"clientInfo\":%s}";
	size_t max = sizeof format + strlen(profile->version) + strlen(profile->capabilities) +
		     strlen(profile->client_info);

	profile->params = malloc(max);
	if (profile->params == NULL)
		return KOLK_E_MEMORY;
	profile->params_size = (size_t)snprintf(profile->params, max, format, profile->version,
						profile->capabilities, profile->client_info);
	return KOLK_OK;
}

static struct mcp_identity *make(struct kolk_mcp *mcp, const struct profile *profile,
				 struct kolk_key *key)
{
	static const char meta_format[] =
		"\"io.modelcontextprotocol/protocolVersion\":\"" MCP_MODERN_VERSION "\","
		"\"io.modelcontextprotocol/clientCapabilities\":%s,"
		"\"io.modelcontextprotocol/clientInfo\":%s";
	const char *tenant = kolk_key_tenant(key);
	size_t tenant_size = strlen(tenant) + 1;
	bool modern = mcp->options.era != KOLK_MCP_LEGACY;
	size_t meta_max = modern ? sizeof meta_format + strlen(profile->capabilities) +
					   strlen(profile->client_info) : 0;
	struct mcp_identity *identity = calloc(1, sizeof *identity + tenant_size + meta_max);
	char *at;

	if (identity == NULL)
		return NULL;
	identity->params = kolk__mcp_share(mcp, profile->params, profile->params_size);
	if (identity->params == NULL) {
		free(identity);
		return NULL;
	}
	identity->mcp = mcp;
	identity->key = key;
	identity->credentials_user = profile->credentials_user;
	memcpy(identity->tenant, tenant, tenant_size);
	at = identity->tenant + tenant_size;
	identity->meta = modern ? at : NULL;
	if (modern)
		(void)snprintf(at, meta_max, meta_format, profile->capabilities,
			       profile->client_info);
	return identity;
}

/* Under the lock: the one of the key, which may be the key of another profile at the address of a
 * key that is gone. */
static struct mcp_identity *find_same(struct kolk_mcp *mcp, const struct profile *profile,
				      const struct kolk_key *key)
{
	struct mcp_identity *identity = find(mcp, key);

	if (identity == NULL || identity->refs != 0 ||
	    (identity->params->size == profile->params_size &&
	     memcmp(identity->params->text, profile->params, profile->params_size) == 0 &&
	     strcmp(identity->tenant, kolk_key_tenant(key)) == 0 &&
	     identity->credentials_user == profile->credentials_user))
		return identity;
	forget(identity);
	return NULL;
}

/* With a reference; NULL: no memory. */
static struct mcp_identity *add(struct kolk_mcp *mcp, const struct profile *profile,
				struct kolk_key *key)
{
	struct mcp_identity *identity = make(mcp, profile, key);

	if (identity == NULL)
		return NULL;
	identity->refs = 1;
	identity->node.hash = kolk__table_hash((uintptr_t)key);
	if (kolk__table_add(&mcp->identities, &identity->node))
		return identity;
	kolk__mcp_unshare(identity->params);
	free(identity);
	return NULL;
}

/* The handle is the identity's, if it had none. NULL: no memory. */
static struct mcp_identity *enter(struct kolk_mcp *mcp, const struct profile *profile,
				  struct kolk_key *key)
{
	struct mcp_identity *identity;
	bool has_handle;

	(void)pthread_mutex_lock(&mcp->lock);
	identity = find_same(mcp, profile, key);
	if (identity != NULL)
		ref(identity);
	else
		identity = add(mcp, profile, key);
	has_handle = identity != NULL && identity->clients++ != 0;
	(void)pthread_mutex_unlock(&mcp->lock);
	if (identity == NULL || has_handle)
		kolk_key_close(key);
	return identity;
}

/* The credential of its key; malloc'd. */
static char *credential_of(struct kolk_mcp *mcp, const struct profile *profile,
			   const struct kolk_key_options *who, size_t *size)
{
	size_t version = strlen(profile->version) + 1;
	size_t capabilities = strlen(profile->capabilities) + 1;
	size_t info = strlen(profile->client_info) + 1;
	char *credential = malloc(version + capabilities + info + 8 + who->credential_size);
	char *at = credential;
	uint64_t number = 0;

	if (credential == NULL)
		return NULL;
	if (mcp->options.sharing == KOLK_MCP_BOUND &&
	    mcp->options.isolation == KOLK_MCP_ISOLATION_SESSION) {
		(void)pthread_mutex_lock(&mcp->lock);
		number = ++mcp->next_client;
		(void)pthread_mutex_unlock(&mcp->lock);
	}
	at = (char *)memcpy(at, profile->version, version) + version;
	at = (char *)memcpy(at, profile->capabilities, capabilities) + capabilities;
	at = (char *)memcpy(at, profile->client_info, info) + info;
	at = (char *)memcpy(at, &number, 8) + 8;
	if (who->credential != NULL)
		memcpy(at, who->credential, who->credential_size);
	*size = version + capabilities + info + 8 + (who->credential != NULL ?
		who->credential_size : 0);
	return credential;
}

static enum kolk_err open_key(struct kolk_mcp *mcp, const struct profile *profile,
			      const struct kolk_key_options *caller, struct kolk_key **key)
{
	struct kolk_key_options who = *caller;
	size_t size;
	char *credential = credential_of(mcp, profile, caller, &size);
	enum kolk_err err;

	if (credential == NULL)
		return KOLK_E_MEMORY;
	if (who.session == NULL && mcp->options.isolation == KOLK_MCP_ISOLATION_SESSION &&
	    (mcp->options.sharing == KOLK_MCP_BOUND || mcp->options.sharing == KOLK_MCP_VIRGIN))
		who.session = "-";
	if (mcp_shares_children(mcp))
		who.session = NULL;
	who.credential = credential;
	who.credential_size = (uint32_t)size;
	err = kolk_key_open(mcp->sessions, &who, key);
	explicit_bzero(credential, size);
	free(credential);
	return err;
}

enum kolk_err kolk__mcp_identity_open(struct kolk_mcp *mcp,
				      const struct kolk_mcp_client_options *options,
				      struct mcp_identity **identity)
{
	const struct kolk_mcp_client_options none = KOLK_INIT(kolk_mcp_client_options);
	const struct kolk_key_options nobody = KOLK_INIT(kolk_key_options);
	struct kolk_mcp_client_options own;
	struct kolk_key_options who;
	struct profile profile = { .params = NULL };
	struct kolk_key *key;
	enum kolk_err err;

	if (!kolk__sized_read(&own, options != NULL ? options : &none) || own.reserved != 0 ||
	    !kolk__sized_read(&who, own.who != NULL ? own.who : &nobody) || who.replaces != 0)
		return KOLK_E_OPTIONS;
	err = profile_of(mcp, &own, &profile);
	if (err == KOLK_OK)
		err = set_params(&profile);
	if (err == KOLK_OK)
		err = open_key(mcp, &profile, &who, &key);
	if (err == KOLK_OK) {
		*identity = enter(mcp, &profile, key);
		err = *identity != NULL ? KOLK_OK : KOLK_E_MEMORY;
	}
	free(profile.params);
	return err;
}
