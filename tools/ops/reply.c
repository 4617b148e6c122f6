/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - what every route needs: to answer, to refuse, to read a body. */
#include "tools/ops/reply.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 255 };
#define MS_MAX INT64_C(315360000000) /* ten years */

/* ---- answers */

void kolk__reply_text(struct kolk__response *response, unsigned status, const char *type,
		      char *text)
{
	if (text == NULL) {
		response->status = 500;
		response->body = "{\"error\":{\"code\":\"KOLK_E_MEMORY\",\"message\":\"out of "
				 "memory\"}}";
		response->size = strlen(response->body);
		return;
	}
	response->status = status;
	response->type = type;
	response->body = response->owned = text;
	response->size = strlen(text);
}

void kolk__reply_json(struct kolk__response *response, unsigned status, json_t *json)
{
	kolk__reply_text(response, status, response->type, json_dumps(json, JSON_COMPACT));
	json_decref(json);
}

void kolk__reply_error(struct kolk__response *response, unsigned status, const char *code,
		       const char *message)
{
	char shown[KOLK__SHOWN_MAX];

	kolk__reply_json(response, status,
			 json_pack("{s:{s:s,s:s}}", "error", "code", code, "message",
				   kolk__shown(message, shown)));
}

struct kolk__about kolk__about(const char *what, const char *name)
{
	struct kolk__about about;
	char shown[KOLK__SHOWN_MAX];

	(void)snprintf(about.text, sizeof about.text, "%s: %.255s", what, kolk__shown(name, shown));
	return about;
}

void kolk__reply_err(struct kolk__response *response, enum kolk_err err)
{
	enum kolk_class err_class = kolk_err_class(err);
	unsigned status = 503;

	if (err == KOLK_E_NOT_FOUND)
		status = 404;
	else if (err == KOLK_E_TIMEOUT)
		status = 504;
	else if (err_class == KOLK_CLASS_USAGE || err_class == KOLK_CLASS_REFUSED)
		status = 409;
	kolk__reply_error(response, status, kolk_err_name(err), kolk_err_text(err));
}

bool kolk__reply_knows(const struct kolk__admin_server *server, const char *tenant,
		       struct kolk__response *response)
{
	struct kolk_tenant_stats stats = KOLK_INIT(kolk_tenant_stats);

	if (kolk_tenant_stats(server->engine, tenant, &stats) != KOLK_E_NOT_FOUND)
		return true;
	kolk__reply_error(response, 404, "no_such_user",
			  kolk__about("there is no such user", tenant).text);
	return false;
}

/* ---- what a body may say */

static bool read_field(const struct kolk__field *field, const json_t *value)
{
	if (field->text != NULL) {
		*field->text = json_string_value(value);
		return *field->text != NULL && json_string_length(value) <= TEXT_MAX;
	}
	if (field->number != NULL) {
		*field->number = json_integer_value(value);
		return json_is_integer(value) && *field->number >= 0 &&
		       *field->number <= MS_MAX;
	}
	*field->flag = json_is_true(value);
	return json_is_boolean(value);
}

static const struct kolk__field *find_field(const struct kolk__field *fields, const char *name)
{
	while (fields->name != NULL && strcmp(fields->name, name) != 0)
		fields++;
	return fields->name != NULL ? fields : NULL;
}

static bool read_fields(json_t *root, const struct kolk__field *fields,
			struct kolk__response *response)
{
	const char *name;
	json_t *value;

	if (!json_is_object(root)) {
		kolk__reply_error(response, 400, "bad_json", "the body must be a JSON object");
		return false;
	}
	json_object_foreach(root, name, value) {
		const struct kolk__field *field = find_field(fields, name);

		if (field == NULL) {
			kolk__reply_error(response, 400, "unknown_field",
					  kolk__about("there is no such field", name).text);
			return false;
		}
		if (!read_field(field, value)) {
			kolk__reply_error(response, 400, "bad_value",
					  kolk__about("this field has a wrong type or value",
						      field->name).text);
			return false;
		}
	}
	return true;
}

json_t *kolk__reply_read(const struct kolk__request *request, const struct kolk__field *fields,
			 struct kolk__response *response)
{
	json_error_t error;
	json_t *root;

	if (request->body_size == 0)
		return json_object();
	root = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		kolk__reply_error(response, 400, "bad_json", error.text);
		return NULL;
	}
	if (read_fields(root, fields, response))
		return root;
	json_decref(root);
	return NULL;
}
