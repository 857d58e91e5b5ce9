// The official SDK's server, as its own examples have it: stateless Streamable
// HTTP, one tool that answers what keepd's get_status would.  Prints its port.
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const processes = Array.from({ length: 10 }, (_, i) => ({
	name: `s${i}`, state: 'running', pid: 1000 + i, uptime_seconds: 12.5,
	restarts: 0, crash_count: 0,
}));

function makeServer() {
	const server = new McpServer({ name: 'peer', version: '1' });
	server.registerTool('get_status', { description: 'status' }, async () => ({
		content: [{ type: 'text', text: JSON.stringify(processes) }],
	}));
	return server;
}

const http = createServer(async (req, res) => {
	const chunks = [];
	for await (const c of req)
		chunks.push(c);
	const transport = new StreamableHTTPServerTransport({
		sessionIdGenerator: undefined, enableJsonResponse: true,
	});
	const server = makeServer();
	res.on('close', () => { transport.close(); server.close(); });
	await server.connect(transport);
	await transport.handleRequest(req, res, JSON.parse(Buffer.concat(chunks)));
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
