/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - the one place that turns configuration into identity.
 *
 * Which fields are part of it, the tables of the options say (option_tables.h). What is part of it,
 * but not as it stands (KOLK_OPTION_OWN), is written here.
 */
#include "core/identity.h"

#include <string.h>

#include "core/engine.h"
#include "core/option_tables.h"

/* A struct that may not be there; files: what its files contain, or its environment. */
static void put_part(struct kolk__writer *w, const struct kolk_option_table *table,
		     const void *options, const uint8_t files[32])
{
	kolk__write_u32(w, options != NULL);
	if (options == NULL)
		return;
	kolk__option_identity(table, options, w);
	kolk__write(w, files, 32);
}

void kolk__identity_pool(const struct kolk_pool_options *o,
			 const struct kolk__identity_parts *parts, struct kolk__writer *w)
{
	kolk__option_identity(&kolk__pool_table, o, w);
	kolk__write_text(w, parts->address);
	put_part(w, &kolk__tls_table, o->tls, parts->files);
	put_part(w, &kolk__child_table, o->child, parts->files);
	/* Drivers are static and borrowed: their address is their identity. */
	kolk__write(w, &o->driver, sizeof o->driver);
	if (parts->driver_options != NULL)
		kolk__option_identity(parts->driver_options, o->driver_user, w);
	else
		kolk__write(w, &o->driver_user, sizeof o->driver_user);
	kolk__write(w, &o->resource, sizeof o->resource);
}

/* ---- of a key */

/* Length, bytes, and a 0 so that it can be shown. It was checked: it fits. */
static uint8_t *put_name(uint8_t *to, const char *name)
{
	size_t size = name != NULL ? strlen(name) : 0;

	*to++ = (uint8_t)size;
	memcpy(to, name != NULL ? name : "", size + 1);
	return to + size + 1;
}

/* All but the digest. */
static uint8_t *put_names(struct kolk__identity *id, uint32_t isolation,
			  const struct kolk_key_options *options)
{
	const bool shared = isolation == KOLK_ISOLATION_SHARED;
	uint8_t *to = id->bytes;

	to = put_name(to, shared ? NULL : options->tenant);
	to = put_name(to, shared ? NULL : options->session);
	id->scope_size = (uint32_t)(to - id->bytes);
	*to++ = options->credential != NULL; /* no credential is an identity, too */
	return to;
}

/* Of the names, which end here, and the credential. */
static struct kolk__digest digest_of(const struct kolk_engine *engine,
				     const struct kolk__identity *id, const uint8_t *end,
				     const struct kolk_key_options *options)
{
	const struct kolk__bytes names = { id->bytes, (size_t)(end - id->bytes) };
	const struct kolk__bytes credential = { options->credential, options->credential_size };

	return kolk__siphash_pair(&engine->secret, names, credential);
}

void kolk__identity_make(const struct kolk_engine *engine, uint32_t isolation,
			 const struct kolk_key_options *options, struct kolk__identity *id)
{
	uint8_t *to = put_names(id, isolation, options);
	const struct kolk__digest digest = digest_of(engine, id, to, options);

	memcpy(to, &digest, sizeof digest);
	id->size = (uint32_t)(to + sizeof digest - id->bytes);
	id->hash = (uint32_t)digest.d[0] & engine->hash_mask;
}

/* Without a credential the names are all that the digest is made of. */
bool kolk__identity_is(const struct kolk_engine *engine, uint32_t isolation,
		       const struct kolk_key_options *options, struct kolk__bytes made)
{
	struct kolk__identity id;
	const uint8_t *to = put_names(&id, isolation, options);
	const size_t names = (size_t)(to - id.bytes);
	struct kolk__digest digest;

	if (made.size != names + sizeof digest || memcmp(made.start, id.bytes, names) != 0)
		return false;
	if (options->credential == NULL)
		return true;
	digest = digest_of(engine, &id, to, options);
	return memcmp((const uint8_t *)made.start + names, &digest, sizeof digest) == 0;
}
