// usage: PROGRAM leaky|fixed SECONDS RATE: a steady load of RATE requests a second, and the end after SECONDS.
'use strict';

const [, , form, seconds, rate] = process.argv;
if (rate === undefined) {
    console.error('usage: PROGRAM leaky|fixed SECONDS RATE');
    process.exit(2);
}

exports.fixed = form === 'fixed';

// Serves one request after the other, each when its turn comes.
exports.serve = (request) => {
    const start = performance.now();
    let served = 0;
    setInterval(() => {
        const due = Math.min(seconds, (performance.now() - start) / 1000) * rate;
        for (; served < due; served++) request(served);
        if (served >= seconds * rate) process.exit(0);
    }, 10);
};
