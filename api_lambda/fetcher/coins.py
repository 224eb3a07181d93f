"""The coins this service knows: the one table from symbol to CoinGecko's id and to the name."""

from typing import NamedTuple


class Coin(NamedTuple):
    """A coin as we and CoinGecko call it."""

    symbol: str
    id: str
    name: str


COINS = {
    coin.symbol: coin
    for coin in (
        Coin("BTC", "bitcoin", "Bitcoin"),
        Coin("ETH", "ethereum", "Ethereum"),
        Coin("SOL", "solana", "Solana"),
        Coin("XRP", "ripple", "XRP"),
        Coin("ADA", "cardano", "Cardano"),
        Coin("DOGE", "dogecoin", "Dogecoin"),
        Coin("TRX", "tron", "TRON"),
        Coin("FIL", "filecoin", "Filecoin"),
        Coin("LINK", "chainlink", "Chainlink"),
        Coin("LTC", "litecoin", "Litecoin"),
        Coin("BNB", "binancecoin", "BNB"),
        Coin("DOT", "polkadot", "Polkadot"),
        Coin("SHIB", "shiba-inu", "Shiba Inu"),
    )
}
