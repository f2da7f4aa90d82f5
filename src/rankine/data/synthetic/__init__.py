"""A generated shop whose best reachable ranking is known. `generate` gives it in memory, `write` as Parquet files.

Every effect is planted by one of these equations; the numbers are settings of ShopConfig or constants beside the code.
Topics t are the shop's categories, i and j items, u users, d the day and w its week.

Assortment   m_d(i) = [sold by d] (1 + rank of i in its topic)^-zipf exp(random walk over weeks, step `item_drift`)
             q_d(i | t, j) = m_d(i) over the sum of m_d in topic t without j; 0 for i = j and outside of t
Demand       p_t ~ (popularity rank of t)^-0.4;  D_wt = exp(random walk over weeks, step `demand_drift`)
Taste        theta_u ~ Dirichlet(taste_focus x base_u),  base_ut ~ p_t exp(lean_t (age_u - 42) / 14)
             A visitor without a name (`anonymous_share` of the sessions) has theta = p.
Context      F_t of device and of referrer = exp(normal with standard deviation `device_effect`, `referrer_effect`)
             F_t of the hour h (UTC) = exp(hour_effect x height_t cos(2 pi (h - peak_t) / 24))
Intent       one hidden topic per session:  P(t) ~ theta_ut D_wt F_t(device) F_t(hour) F_t(referrer)
Walk         the first view:  P(i | t) = (1 - wander) q_d(i | t) + wander sum_s C_ws q_d(i | s),  C_wt ~ p_t D_wt
             then, from j:    P(i | t, j) = follow S_ji + (1 - follow) [the same with q_d(. | ., j)]
             S_j = .45, .25, .15 on three items of the next shelf of j's topic, .15 on one in the next topic
Length       1 + geometric, mean `views_per_session`, independent of everything else, at most 40
Funnel       cart ~ .16 exp(-(z_i - b_u)^2 / 2), z the log price within the topic, b_u the user's budget; x 1.5 after a
             mail; purchase ~ .35 of carts. Both come right after the view of the same item.
Activity     a user's share of the sessions is lognormal (sigma 1.1) times the time since they arrived
Clock        a daily and weekly rhythm; 20 to 200 s between the events of a session; no session outlives its day

The `hour` column is the hour in which the session began. No item follows itself and a cart or purchase follows its own
view, so a session with repeats collapsed is the walk itself, and the oracle's forecast of its next item is exact:
P(t | h_1 .. h_n) ~ P(t) P(h_1 | t) prod_k P(h_k | t, h_k-1);  P(next = i) = sum_t P(t | h) P(i | t, h_n).
"""

from rankine.data.synthetic.clicks import Clicks, ClicksConfig, generate_clicks
from rankine.data.synthetic.config import ShopConfig, shop_config
from rankine.data.synthetic.generate import Shop, generate, write
from rankine.data.synthetic.oracle import Oracle

__all__ = [
    "Clicks",
    "ClicksConfig",
    "Oracle",
    "Shop",
    "ShopConfig",
    "generate",
    "generate_clicks",
    "shop_config",
    "write",
]
