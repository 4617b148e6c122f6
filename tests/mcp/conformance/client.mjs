// SPDX-License-Identifier: Apache-2.0
// A client for scenarios of the conformance suite: client.mjs URL [ORIGIN], with MCP_CONFORMANCE_SCENARIO and
// MCP_CONFORMANCE_PROTOCOL_VERSION as the suite sets them. It is the official one, and does what the scenario
// looks for; how it went is the suite's to say. Requests to the URL's origin go to ORIGIN, as if its name led there.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const suite = createRequire(process.env.KOLK_MCP_SUITE + '/package.json');
const { Client, ClientCredentialsProvider, CrossAppAccessProvider, PrivateKeyJwtProvider, requestJwtAuthorizationGrant,
	StreamableHTTPClientTransport, UnauthorizedError } = await import(
	pathToFileURL(suite.resolve('@modelcontextprotocol/client')).href);

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

const url = new URL(process.argv[2]), at = process.argv[3];

function newClient(capabilities) {
	return new Client({ name: 'kolk-conformance', version: '1.0.0' },
		{ capabilities, versionNegotiation: { mode: modern ? 'auto' : 'legacy' } });
}

async function connect(capabilities, ask) {
	const client = newClient(capabilities);
	if (ask) client.setRequestHandler('elicitation/create', ask);
	await client.connect(new StreamableHTTPClientTransport(url));
	return client;
}

// ---- authorisation: the user signs in at once, wherever they are led

function fetchAt(from, init) {
	const to = new URL(from);
	return fetch(at && to.origin === url.origin ? new URL(to.pathname + to.search, at) : to, init);
}

class User {
	#kept = {};
	redirectUrl = 'http://localhost:3000/callback';
	clientMetadataUrl = 'https://conformance-test.local/client-metadata.json';
	clientMetadata = { client_name: 'kolk-conformance', application_type: 'native', redirect_uris: [this.redirectUrl],
		grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
	callback = undefined; // the params that the last sign-in came back with

	constructor(registered) { this.#kept.client = registered; }
	clientInformation() { return this.#kept.client; }
	saveClientInformation(client) { this.#kept.client = client; }
	tokens() { return this.#kept.tokens; }
	saveTokens(tokens) { this.#kept.tokens = tokens; }
	codeVerifier() { return this.#kept.verifier; }
	saveCodeVerifier(verifier) { this.#kept.verifier = verifier; }
	async redirectToAuthorization(page) {
		const { headers } = await fetch(page, { redirect: 'manual' });
		this.callback = new URL(headers.get('location')).searchParams;
	}
}

const SIGN_INS_MAX = 3, SESSIONS_MAX = 4;

// Lists tools and calls one. Refused, the user signs in, and it is tried again. A session is its principal's: when
// it is not found with the new token, a new one begins, as the specification says.
async function signIn(user) {
	let client, transport, signIns = 0, sessions = 0;
	const open = async () => {
		sessions++;
		transport = new StreamableHTTPClientTransport(url, { authProvider: user, fetch: fetchAt });
		const next = newClient({});
		await next.connect(transport);
		client = next;
	};
	const signedIn = async action => {
		for (;;)
			try {
				if (!client) await open();
				return await action(client);
			} catch (e) {
				if (e instanceof UnauthorizedError && user.callback && ++signIns < SIGN_INS_MAX) {
					const params = user.callback;
					user.callback = undefined;
					await transport.finishAuth(params);
				} else if (client && e.status === 404 && sessions < SESSIONS_MAX) {
					client = undefined;
				} else {
					throw e;
				}
			}
	};
	const { tools } = await signedIn(client => client.listTools());
	await signedIn(client => client.callTool({ name: tools[0].name, arguments: {} }));
	return client;
}

// Each tool of the list with these arguments; an error is an answer, too.
async function callAll(client, argumentsOf) {
	const { tools } = await client.listTools();
	for (const { name } of tools)
		await client.callTool({ name, arguments: argumentsOf(name) }).catch(e => console.error(`${name}: ${e}`));
}

const scenarios = {
	async 'initialize'() {
		const client = await connect({});
		await client.listTools();
		return client;
	},
	async 'tools_call'() {
		const client = await connect({});
		await client.listTools();
		await client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } });
		return client;
	},
	async 'elicitation-sep1034-client-defaults'() {
		const client = await connect({ elicitation: { form: { applyDefaults: true } } },
			async () => ({ action: 'accept', content: {} }));
		await callAll(client, () => ({}));
		return client;
	},
	async 'sse-retry'() {
		const client = await connect({});
		await client.listTools();
		await client.callTool({ name: 'test_reconnection', arguments: {} });
		return client;
	},
	async 'request-metadata'() {
		const client = await connect({ roots: { listChanged: true }, sampling: {}, elicitation: {} });
		await client.listTools().catch(e => console.error(`tools/list: ${e}`));
		return client;
	},
	async 'sep-2322-client-request-state'() {
		const client = await connect({ elicitation: {} },
			async () => ({ action: 'accept', content: { confirmed: true } }));
		await callAll(client, () => ({}));
		return client;
	},
	async 'http-standard-headers'() {
		const client = await connect({});
		await callAll(client, () => ({}));
		for (const { uri } of (await client.listResources()).resources)
			await client.readResource({ uri });
		for (const { name } of (await client.listPrompts()).prompts)
			await client.getPrompt({ name, arguments: {} });
		return client;
	},
	async 'http-custom-headers'() {
		const client = await connect({});
		await client.listTools();
		for (const call of context.toolCalls)
			await client.callTool(call);
		return client;
	},
	async 'http-invalid-tool-headers'() {
		const client = await connect({});
		await callAll(client, () => ({ region: 'us-west1' }));
		return client;
	},
	async 'json-schema-ref-no-deref'() {
		const client = await connect({});
		await client.listTools();
		return client;
	},
	async 'json-schema-2020-12-preservation'() {
		const client = await connect({});
		const { tools } = await client.listTools();
		const { inputSchema: schema } = tools.find(tool => tool.name === 'json_schema_2020_12_tool');
		await client.callTool({ name: 'json_schema_echo', arguments: { schema } });
		return client;
	},
	'auth/pre-registration': () => signIn(new User({ client_id: context.client_id,
		client_secret: context.client_secret })),
	'auth/client-credentials-basic': () => signIn(new ClientCredentialsProvider({ clientId: context.client_id,
		clientSecret: context.client_secret })),
	'auth/client-credentials-jwt': () => signIn(new PrivateKeyJwtProvider({ clientId: context.client_id,
		privateKey: context.private_key_pem, algorithm: context.signing_algorithm })),
	'auth/enterprise-managed-authorization': () => signIn(new CrossAppAccessProvider({ clientId: context.client_id,
		clientSecret: context.client_secret,
		assertion: async ({ authorizationServerUrl, resourceUrl, fetchFn }) => (await requestJwtAuthorizationGrant({
			tokenEndpoint: context.idp_token_endpoint, audience: authorizationServerUrl, resource: resourceUrl,
			idToken: context.idp_id_token, clientId: context.idp_client_id, fetchFn })).jwtAuthGrant })),
};

const run = scenarios[scenario] ?? (scenario.startsWith('auth/') ? () => signIn(new User()) : undefined);
if (!run) {
	console.error(`there is no scenario '${scenario}' here`);
	process.exit(2);
}
const client = await run();
await client.close();
