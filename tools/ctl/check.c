/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - kolk-ctl check: what a gateway would say to a configuration, without one. */
#include <kolk/ops/config.h>
#include <string.h>

#include "tools/ctl/ctl.h"
#include "tools/ctl/text.h"

void complain_of_file(const struct kolk_config_error *error)
{
	char text[3000], clean[1200], *rest = text, *line;

	kolk_config_error_text(error, text, sizeof text);
	while ((line = strsep(&rest, "\n")) != NULL)
		fprintf(stderr, "%s\n", text_clean(line, clean, sizeof clean, 0));
}

/* A key at the top that is not the library's is a section of a program, if it is no mistake. */
static bool is_of_program(const struct kolk_config_error *error)
{
	static const char end[] = " in the file";
	const size_t size = strlen(error->message);

	return strncmp(error->message, "unknown key", 11) == 0 && size >= sizeof end &&
	       strcmp(error->message + size + 1 - sizeof end, end) == 0;
}

static enum outcome refuse(struct kolk_config_error *error)
{
	if (is_of_program(error) && error->suggestion[0] == 0)
		snprintf(error->suggestion, sizeof error->suggestion,
			 "sections of a program are checked by it: kolk-gateway --check --config FILE");
	complain_of_file(error);
	return error->err == KOLK_E_NOT_FOUND || error->err == KOLK_E_IO ? USAGE : REFUSED;
}

static const char *plural(uint32_t count)
{
	return count == 1 ? "" : "s";
}

static void print_fine(const char *file, const struct kolk_config *config)
{
	uint32_t pools = 0, tenants = 0;
	char clean[1200];

	while (kolk_config_pool(config, pools) != NULL)
		pools++;
	while (kolk_config_tenant(config, tenants, NULL) != NULL)
		tenants++;
	printf("%s: %u pool%s, %u tenant%s: fine\n", text_clean(file, clean, sizeof clean, 0), pools,
	       plural(pools), tenants, plural(tenants));
}

enum outcome command_check(const struct request *request)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	enum kolk_err err;

	if (request->json)
		return complain(USAGE, "check has no JSON");
	err = kolk_config_load(request->file, NULL, &config, &error);
	if (err == KOLK_OK)
		err = kolk_config_try(config, &error);
	if (err == KOLK_OK)
		print_fine(request->file, config);
	kolk_config_free(config);
	return err == KOLK_OK ? DONE : refuse(&error);
}
