// SPDX-License-Identifier: Apache-2.0
// What a server's metadata say of its tokens, as `mcp` of a route has it: metadata.mjs URL. Who writes the
// configuration of a gateway reads them so.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const suite = createRequire(process.env.KOLK_MCP_SUITE + '/package.json');
const { discoverOAuthProtectedResourceMetadata, extractWWWAuthenticateParams } = await import(
	pathToFileURL(suite.resolve('@modelcontextprotocol/client')).href);
const url = process.argv[2];

const refused = await fetch(url, {
	method: 'POST',
	headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
	body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
});
const { authorization_servers, scopes_supported } = await discoverOAuthProtectedResourceMetadata(url,
	{ resourceMetadataUrl: extractWWWAuthenticateParams(refused).resourceMetadataUrl });
console.log(`authorization_servers: ${JSON.stringify(authorization_servers)}` +
	(scopes_supported ? `, scopes: ${JSON.stringify(scopes_supported)}` : ''));
