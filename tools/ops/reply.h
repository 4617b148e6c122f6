/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h - what every route needs: to answer, to refuse, to read a body. */
#ifndef KOLK_OPS_REPLY_H
#define KOLK_OPS_REPLY_H

#include "tools/ops/admin.h"

typedef void kolk__route_fn(struct kolk__admin_server *server, const struct kolk__request *request,
			    struct kolk__response *response);

/* The text is the response's from here on; NULL = there was no memory for it. */
void kolk__reply_text(struct kolk__response *response, unsigned status, const char *type,
		       char *text);
/* Takes the reference to json. */
void kolk__reply_json(struct kolk__response *response, unsigned status, json_t *json);
void kolk__reply_error(struct kolk__response *response, unsigned status, const char *code,
		  const char *message);
/* A message with a name in it, the client's or one of ours: "there is no such pool: orders". */
struct kolk__about {
	char text[320];
};
struct kolk__about kolk__about(const char *what, const char *name);
void kolk__reply_err(struct kolk__response *response, enum kolk_err err);

/* What a body may say; a list ends with name NULL. */
struct kolk__field {
	const char *name;
	const char **text; /* one of the three */
	int64_t *number;
	bool *flag;
};

/* The body as JSON, NULL when it is not good (and the response says why). Its strings live as
 * long as it does. No body is an empty object. */
json_t *kolk__reply_read(const struct kolk__request *request, const struct kolk__field *fields,
			struct kolk__response *response);

/* Otherwise the response says that there is no such tenant. "" is known: keys without one. */
bool kolk__reply_knows(const struct kolk__admin_server *server, const char *tenant,
		       struct kolk__response *response);

/* actions.c: until so many were evicted altogether, or all that close are closed, or it took as
 * long as an action may; the connections that are open then. */
uint32_t kolk__wait_closed(struct kolk__admin_server *server, uint64_t cleared);
kolk__route_fn kolk__post_cleanup, kolk__post_warmup, kolk__post_evict, kolk__post_drain,
	kolk__post_resume, kolk__put_config;

#endif
