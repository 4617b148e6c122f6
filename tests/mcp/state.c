/* SPDX-License-Identifier: Apache-2.0 */
/* state.c - requestState: "BASE64.MAC", which only this process can make; base64 in fields. */
#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/inside.h"

enum { MAC = 32 };

static void mac_make(struct mcp_fixture *fixture, const char *text, size_t size,
		     char mac[2 * MAC + 1])
{
	uint8_t bytes[MAC];

	(void)mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), fixture->secret,
			      sizeof fixture->secret, (const uint8_t *)text, size, bytes);
	for (size_t i = 0; i < MAC; i++)
		sprintf(mac + 2 * i, "%02x", bytes[i]);
}

char *mcp_seal(struct mcp_fixture *fixture, const json_t *state)
{
	char *text = json_dumps(state, JSON_COMPACT), mac[2 * MAC + 1], *sealed;
	size_t size, capacity = 4 * strlen(text) / 3 + 8;

	sealed = malloc(capacity + sizeof mac + 1);
	(void)mbedtls_base64_encode((uint8_t *)sealed, capacity, &size, (uint8_t *)text, strlen(text));
	mac_make(fixture, sealed, size, mac);
	sprintf(sealed + size, ".%s", mac);
	free(text);
	return sealed;
}

json_t *mcp_unseal(struct mcp_fixture *fixture, const char *text)
{
	const char *dot = strrchr(text, '.');
	json_t *state = NULL;
	char mac[2 * MAC + 1];
	size_t size;
	uint8_t *bytes;

	if (dot == NULL)
		return NULL;
	mac_make(fixture, text, (size_t)(dot - text), mac);
	if (strcmp(mac, dot + 1) != 0)
		return NULL;
	bytes = malloc(strlen(text));
	if (mbedtls_base64_decode(bytes, strlen(text), &size, (const uint8_t *)text,
				  (size_t)(dot - text)) == 0)
		state = json_loadb((const char *)bytes, size, 0, NULL);
	free(bytes);
	return state;
}

/* Characters of base64, padding that is complete: what the decoder lets pass, too, is checked. */
static bool is_base64(const char *text, size_t size)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t letters = 0;

	while (letters < size && strchr(alphabet, text[letters]) != NULL)
		letters++;
	return size % 4 == 0 && size - letters <= 2 && strncmp(text + letters, "==", size - letters) == 0;
}

/* A field's value: as it is, or "=?base64?...?="; NULL = it is wrong. Free it. */
char *mcp_decoded(const char *value)
{
	static const char head[] = "=?base64?";
	size_t size = strlen(value), done;
	char *text;

	if (size < sizeof head + 1 || strncmp(value, head, sizeof head - 1) != 0 ||
	    strcmp(value + size - 2, "?=") != 0)
		return strdup(value);
	value += sizeof head - 1;
	size -= sizeof head + 1;
	text = malloc(size + 1);
	if (!is_base64(value, size) ||
	    mbedtls_base64_decode((uint8_t *)text, size, &done, (const uint8_t *)value, size) != 0) {
		free(text);
		return NULL;
	}
	text[done] = '\0';
	return text;
}
