"""Lets an extension module from PyPI do something that only its compiled part can, as the path says."""


def numpy():
    import numpy

    matrix = numpy.arange(4.0).reshape(2, 2)
    return (matrix @ numpy.linalg.inv(matrix)).round().tolist()


def lxml():
    from lxml import etree

    style = etree.XSLT(etree.XML('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>'
                                 '<xsl:template match="/"><xsl:value-of select="sum(//b)"/></xsl:template></xsl:stylesheet>'))
    return str(style(etree.XML("<a><b>40</b><b>2</b></a>")))


def cryptography():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b"text"), b"text")
    return "verified"


def pydantic():
    import pydantic

    class Thing(pydantic.BaseModel):
        number: int

    try:
        Thing(number="many")
    except pydantic.ValidationError as error:
        return [Thing.model_validate_json('{"number": "42"}').number, error.errors()[0]["type"]]


def psycopg():
    import psycopg

    text = psycopg.conninfo.make_conninfo("host=127.0.0.1 port=1", dbname="x")
    try:
        psycopg.connect(text, connect_timeout=5)
    except psycopg.OperationalError as error:
        return [psycopg.pq.__impl__, "refused" in str(error)]


def application(environ, start_response):
    answer = repr(globals()[environ["PATH_INFO"].strip("/")]()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
