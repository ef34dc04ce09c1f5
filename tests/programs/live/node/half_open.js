// Answers over TCP and leaves it to the client to hang up first.
// leaky: when the client hangs up, the server does not: its side stays, in CLOSE_WAIT, of five clients in a hundred.
'use strict';

const net = require('net');
const steady = require('./steady');

const sessions = new Set();

const server = net.createServer({ allowHalfOpen: true }, (session) => {
    sessions.add(session);
    // A client that gave up.
    session.on('error', () => sessions.delete(session));
    session.on('data', (question) => {
        session.write('42');
        session.on('end', () => {
            if (question[0] % 20 !== 0 || steady.fixed) {
                session.end();
                sessions.delete(session);
            }
        });
    });
});

function ask(number) {
    const client = net.connect(server.address().port, '127.0.0.1');
    client.write(Buffer.from([number % 100]));
    client.on('data', () => client.end());
    client.setTimeout(3000, () => client.destroy());
}

server.listen(0, '127.0.0.1', () => steady.serve(ask));
