#include "pipeline/derive/functions/fn_feed.h"

void fn_feed_init(struct fn_feed *feed, struct fn_bytes *in)
{
    *feed = (struct fn_feed){.in = in};
}

void fn_feed_release(struct fn_feed *feed)
{
    buf_release(&feed->block);
}

int fn_feed_next(struct fn_feed *feed, struct bytes *block, bool *last)
{
    uint64_t left = feed->in->size - feed->at;
    size_t want = left < FN_FEED_BLOCK ? (size_t)left : FN_FEED_BLOCK;
    buf_clear(&feed->block);
    while (feed->block.len < want) {
        struct bytes view;
        int err = feed->in->view(feed->in, feed->at, &view);
        if (err != OK)
            return err;
        if (view.len > want - feed->block.len)
            view.len = want - feed->block.len;
        feed->at += view.len;
        if (view.len == want) {
            *block = view;
            *last = feed->at == feed->in->size;
            return OK;
        }
        buf_append_bytes(&feed->block, view);
    }
    *block = buf_bytes(&feed->block);
    *last = feed->at == feed->in->size;
    return OK;
}
