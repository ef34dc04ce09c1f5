// Remembers the page of every product that was asked for; half of the requests are for one that nobody asked for before.
// leaky: nothing is ever forgotten.
'use strict';

const steady = require('./steady');

const CAP = 500;
const pages = new Map();

function renderPage(product) {
    return Array.from({ length: 60 }, (_, line) => ({ line, text: `line ${line} of product ${product}` }));
}

function page(product) {
    if (!pages.has(product)) {
        pages.set(product, renderPage(product));
        if (steady.fixed && pages.size > CAP) pages.delete(pages.keys().next().value);
    }
    return pages.get(product);
}

steady.serve((request) => page(request % 2 === 0 ? request : request - 1 - (request % 32) * 2));
