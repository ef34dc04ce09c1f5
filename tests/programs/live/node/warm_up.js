// Grower: V8 compiles and optimises two functions a second for a minute and keeps them, under a load of garbage.
'use strict';

const steady = require('./steady');

const handlers = [];

function compileHandler(number) {
    const lines = Array.from({ length: 200 }, (_, line) => `sum += (value * ${number + line}) % ${line + 7};`);
    return new Function('value', `let sum = 0; ${lines.join(' ')} return sum;`);
}

steady.serve((request) => {
    if (request % 50 === 0 && handlers.length < 120) handlers.push(compileHandler(request));
    const garbage = Array.from({ length: 200 }, (_, index) => ({ index, text: `item ${index}` }));
    return handlers[request % handlers.length](garbage.length + request);
});
